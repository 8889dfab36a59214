"""Regimes: how spot capacity comes and goes, learned from traces: a few kinds of day, each with its own chances that it goes or returns.

A semi-Markov model: in a regime, what is up goes down (and what is down comes up) with a chance that depends on how long it has been so.
Which regime holds is hidden and changes about once in two days; belief.py infers it from what is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import NDArray

from mlray.market.trace import Trace

Floats = NDArray[np.float64]
Ups = NDArray[np.bool_]

HOUR_S = 3600.0
# For how long a state has lasted: ticks one by one at first (probes at a fixed period leave their mark there), then spans of hours.
FIRST_TICKS, SPANS_H = 10, (0.25, 0.75, 2.0, 6.0)
FORGET_H = 48.0  # 24 h to 96 h make no difference that can be told from chance
ROUNDS = 3
# Hazards of one regime lean on those of all, scaled, as if these had been seen for so many ticks.
LEAN = 30.0
LEAST, MOST = 1e-4, 0.97


@dataclass(frozen=True, slots=True, eq=False)
class Regimes:
    """Chances per tick of `tick_s` seconds.

    `flips` has shape (regimes, 2, ages): the chance that a state (0 down, 1 up) ends after this tick; `ages` are the ticks at which each
    column begins; `weights` is how often each regime holds; `forget` the chance that another draw of the regime comes with a tick.
    """

    tick_s: float
    flips: Floats
    ages: NDArray[np.int64]
    weights: Floats
    forget: float

    @property
    def count(self) -> int:
        return len(self.weights)

    def age(self, ticks: int) -> int:
        """The column of a state that has lasted `ticks` ticks before this one."""
        return int(np.searchsorted(self.ages, ticks, side="right")) - 1

    def chain(self) -> Floats:
        """Shape (regimes, 2 x ages, 2 x ages): the chance of each next (state, age). Down comes first. Long spans end geometrically."""
        ages = len(self.ages)
        onward = np.append(1.0 / np.diff(self.ages), 0.0)
        steps = np.zeros((self.count, 2 * ages, 2 * ages))
        for state in (0, 1):
            here, there, flips = state * ages, (1 - state) * ages, self.flips[:, state]
            for age in range(ages):
                steps[:, here + age, there] += flips[:, age]
                steps[:, here + age, here + age] += (1 - flips[:, age]) * (1 - onward[age])
                steps[:, here + age, here + min(age + 1, ages - 1)] += (1 - flips[:, age]) * onward[age]
        return steps

    def share(self) -> Floats:
        """Of each regime, the part of the time in which capacity is up, in the long run."""
        chain, ages = self.chain(), len(self.ages)
        found = np.full((self.count, 1, 2 * ages), 0.5 / ages)
        for _ in range(12):  # the chain of 4096 ticks
            chain = chain @ chain
        up: Floats = (found @ chain)[:, 0, ages:].sum(axis=1)
        return up


def learn(series: Sequence[Ups], tick_s: float) -> Regimes | None:
    """Regimes of several series of one tick, learned together by expectation and maximisation; None where nothing can be learned."""
    ups = [up for up in series if len(up) > 1]
    if not ups:
        return None
    ages = columns(tick_s)
    seen = [_Seen.of(up, ages) for up in ups]
    if sum(int(one.flipped.sum()) for one in seen) == 0:
        return None
    guess = [_first_guess(up, tick_s) for up in ups]
    forget = 1 - exp(-tick_s / (FORGET_H * HOUR_S))
    counts = _counts(seen, guess, len(ages))
    for _ in range(ROUNDS):
        found = _regimes(tick_s, *counts, ages, forget)
        counts = _counts(seen, [_smoothed(found, one) for one in seen], len(ages))
    return _regimes(tick_s, *counts, ages, forget)


def columns(tick_s: float) -> NDArray[np.int64]:
    """The ticks at which each column of ages begins."""
    spans = {round(hours * HOUR_S / tick_s) for hours in SPANS_H}
    return np.array(sorted({*range(FIRST_TICKS), *(at for at in spans if at > FIRST_TICKS)}), dtype=np.int64)


def at_ticks(trace: Trace, tick_s: float) -> Ups:
    """The trace's ups on another grid of ticks."""
    if trace.tick_s == tick_s:
        return trace.up
    at = np.arange(int(trace.seconds / tick_s)) * tick_s / trace.tick_s
    return trace.up[at.astype(np.int64)]


def ages_of(up: Ups) -> NDArray[np.int64]:
    """For each tick, how many ticks before it had the same state without a break."""
    at = np.arange(len(up))
    begun = np.concatenate([[True], up[1:] != up[:-1]])
    lasted: NDArray[np.int64] = at - np.maximum.accumulate(np.where(begun, at, 0))
    return lasted


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """One series as what was tried in each tick: a state of an age that flipped, or did not."""

    state: NDArray[np.int64]
    column: NDArray[np.int64]
    flipped: Ups

    @classmethod
    def of(cls, up: Ups, ages: NDArray[np.int64]) -> _Seen:
        column = np.searchsorted(ages, ages_of(up), side="right") - 1
        return cls(up[:-1].astype(np.int64), column[:-1], up[1:] != up[:-1])


def _first_guess(up: Ups, tick_s: float) -> Floats:
    """Six kinds of day: little, some or much capacity about the tick, calm or not. Shape (ticks - 1, 6)."""
    wide = max(1, round(12 * HOUR_S / tick_s))
    share = _around(up.astype(np.float64), wide)[:-1]
    tempo = _around(np.append(up[1:] != up[:-1], False).astype(np.float64), wide)[:-1]
    calm = tempo * HOUR_S / tick_s < 0.5
    kind = np.where(share < 1 / 3, 0, np.where(share < 2 / 3, 1, 2)) * 2 + calm
    return np.asarray(0.9 * np.eye(6)[kind] + 0.1 / 6)


def _around(values: Floats, wide: int) -> Floats:
    """The mean of `wide` ticks on each side."""
    sums = np.concatenate([[0.0], values.cumsum()])
    at = np.arange(len(values))
    low, high = np.maximum(at - wide, 0), np.minimum(at + wide + 1, len(values))
    return np.asarray((sums[high] - sums[low]) / (high - low))


def _counts(seen: Sequence[_Seen], belief: Sequence[Floats], ages: int) -> tuple[Floats, Floats]:
    """How much each (regime, state, age) was tried, and how often it flipped."""
    kinds = belief[0].shape[1]
    tried, flipped = np.zeros((kinds, 2, ages)), np.zeros((kinds, 2, ages))
    for one, weight in zip(seen, belief, strict=True):
        for kind in range(kinds):
            np.add.at(tried[kind], (one.state, one.column), weight[:, kind])
            np.add.at(flipped[kind], (one.state, one.column), weight[:, kind] * one.flipped)
    return tried, flipped


def _regimes(tick_s: float, tried: Floats, flipped: Floats, ages: NDArray[np.int64], forget: float) -> Regimes:
    """Chances from counts: of all regimes together first; of one regime as these, scaled, unless it has been seen for long."""
    together = (flipped.sum(axis=0) + 0.5) / (tried.sum(axis=0) + HOUR_S / tick_s)
    scale = (flipped.sum(axis=2) + 1) / ((tried * together).sum(axis=2) + 1)
    base = np.minimum(together * scale[:, :, None], MOST)
    flips = np.clip((flipped + LEAN * base) / (tried + LEAN), LEAST, MOST)
    weights = tried.sum(axis=(1, 2)) + 1
    return Regimes(tick_s, flips, ages, weights / weights.sum(), forget)


def _smoothed(found: Regimes, one: _Seen) -> Floats:
    """The chance of each regime in each tick, from what came before and after (forward and backward). Shape (ticks - 1, regimes)."""
    chance = found.flips[:, one.state, one.column].T
    chance = np.where(one.flipped[:, None], chance, 1 - chance)
    before, after = np.empty_like(chance), np.ones_like(chance)
    belief = found.weights
    for tick, likely in enumerate(chance):
        now = belief * likely
        before[tick] = now / now.sum()
        belief = (1 - found.forget) * before[tick] + found.forget * found.weights
    for tick in range(len(chance) - 2, -1, -1):
        later = chance[tick + 1] * after[tick + 1]
        now = (1 - found.forget) * later + found.forget * float(found.weights @ later)
        after[tick] = now / now.sum()
    both = before * after
    return np.asarray(both / both.sum(axis=1, keepdims=True))


def prior(tick_s: float) -> Regimes:
    """What to believe before anything was seen: four kinds of day, from scarce to plenty, in which young states end sooner than old ones.

    Mean stays of about (up, down) hours: 0.7 and 9, 1 and 1, 3 and 1.5, 20 and 0.7: the span of published traces of GPU nodes.
    """
    ages = columns(tick_s)
    hours = (ages + 0.5) * tick_s / HOUR_S
    shape = np.clip(1.6 * (hours + 0.15) ** -0.45, 0.4, 3.0)
    stays = np.array([[9.0, 0.7], [1.0, 1.0], [1.5, 3.0], [0.7, 20.0]])
    flips = 1 - np.exp(-shape * tick_s / HOUR_S / stays[:, :, None])
    forget = 1 - exp(-tick_s / (FORGET_H * HOUR_S))
    return Regimes(tick_s, np.clip(flips, LEAST, MOST), ages, np.array([0.2, 0.25, 0.25, 0.3]), forget)
