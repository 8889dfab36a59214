"""Load: how many requests a second a deployment is asked, step by step; read from a record or drawn as a shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAY_S, WEEK_S = 86400.0, 604800.0
SHAPES = ("steady", "diurnal", "weekly", "bursty")
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Load:
    """Requests a second in steps of `step_s` seconds, counted from the beginning of the replay; after the last step it begins anew."""

    rates: Numbers
    step_s: float
    name: str = "recorded"

    def __post_init__(self) -> None:
        if self.step_s <= 0 or self.rates.ndim != 1 or not len(self.rates):
            raise ValueError(f"steps of {self.step_s} s, rates of shape {self.rates.shape}: one row of steps is wanted")
        if not (np.isfinite(self.rates).all() and (self.rates >= 0).all()):
            raise ValueError("a rate is a number of requests a second, 0 or more")

    @property
    def seconds(self) -> float:
        return len(self.rates) * self.step_s

    def ticks(self, count: int, tick_s: float) -> Numbers:
        """The mean rate in each of `count` ticks, so that the number of requests is the same whatever the tick."""
        ends = np.arange(count + 1) * tick_s
        whole, rest = np.divmod(ends, self.seconds)
        counted = np.concatenate(([0.0], np.cumsum(self.rates * self.step_s)))
        until: Numbers = whole * counted[-1] + np.interp(rest, np.arange(len(counted)) * self.step_s, counted)
        means: Numbers = np.maximum(0.0, np.diff(until) / tick_s)
        return means


def shape(name: str, rps: float, days: float, rng: np.random.Generator, step_s: float = 60.0) -> Load:
    """A load whose mean is about `rps`: `steady`; `diurnal` (busiest at 14:00, a quarter of the mean at night); `weekly` (the
    same with 40 % of it at weekends, the replay's first day being a Monday); `bursty` (half the mean, and bursts of several
    times the mean that last for minutes). Raises ValueError for another name."""
    if name not in SHAPES:
        raise ValueError(f"no load is called {name!r}: write one of {', '.join(SHAPES)}")
    at = np.arange(max(1, round(days * DAY_S / step_s)), dtype=np.float64) * step_s
    drawn = {"steady": _steady, "diurnal": _diurnal, "weekly": _weekly, "bursty": _bursty}[name](at, rng, step_s)
    return Load(np.multiply(rps, drawn, dtype=np.float64), step_s, name)


def _steady(at: Numbers, rng: np.random.Generator, step_s: float) -> Numbers:
    return np.ones_like(at)


def _diurnal(at: Numbers, rng: np.random.Generator, step_s: float) -> Numbers:
    return 1 + 0.75 * np.cos(2 * np.pi * (at / DAY_S - 14 / 24))


def _weekly(at: Numbers, rng: np.random.Generator, step_s: float) -> Numbers:
    weekend = (at % WEEK_S) >= 5 * DAY_S
    return _diurnal(at, rng, step_s) * np.where(weekend, 0.4, 1.24)  # (5 x 1.24 + 2 x 0.4) / 7 = 1


def _bursty(at: Numbers, rng: np.random.Generator, step_s: float) -> Numbers:
    """Six bursts a day on average, each 2 to 10 times the mean for 20 minutes on average: together half of all requests."""
    out = np.full_like(at, 0.5)
    for begin in np.flatnonzero(rng.random(len(at)) < 6 * step_s / DAY_S):
        steps = max(1, round(rng.exponential(1200.0) / step_s))
        out[begin : begin + steps] += rng.uniform(2.0, 10.0)
    return out
