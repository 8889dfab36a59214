"""Risk: how often a node is taken away, learned from lives that ended and lives that go on, and its chance to survive.

A constant rate does not fit: nodes of a zone that was taken away a moment ago go again soon, and those that have stood for
hours tend to stay. Kaplan-Meier fits but is a curve of single ends: it has no answer past the longest life, none where
nothing was seen, and cannot be carried on by counting. On later halves of recordings it foretells as well as this does, and one
rate much worse (benchmarks/survival.json). So the rate is constant within spans of age (piecewise exponential),
each drawn towards the mean of all, and that towards a prior, by counts of losses over hours. Lives that have not ended count
with the hours they had (right censoring); those met in the middle count towards the mean and no age.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import exp, inf, sqrt

import numpy as np
from numpy.typing import NDArray

from mlray.market.trace import Trace

HOUR = 3600.0
# Ages at which the rate may change, in seconds; the last counter is for lives whose begin nobody saw.
AGES = (0.0, 900.0, 2700.0, 7200.0, 21600.0)
NO_COUNTS = (0.0,) * (len(AGES) + 1)
UNKNOWN = len(AGES)
Counts = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Lives:
    """What was seen: losses and node-hours by age, and how often and after how many hours in all capacity came back."""

    losses: Counts = NO_COUNTS
    hours: Counts = NO_COUNTS
    returns: float = 0.0
    away_h: float = 0.0

    def __add__(self, other: Lives) -> Lives:
        losses = tuple(a + b for a, b in zip(self.losses, other.losses, strict=True))
        hours = tuple(a + b for a, b in zip(self.hours, other.hours, strict=True))
        return Lives(losses, hours, self.returns + other.returns, self.away_h + other.away_h)

    @classmethod
    def of(cls, trace: Trace) -> Lives:
        """Every node of a recording: the k-th is there while at least k are. Whole ticks: shorter lives were not seen."""
        found = cls()
        for level in range(1, int(trace.nodes.max(initial=0)) + 1):
            for first, last, up in _stays(trace.nodes >= level):
                seconds, ended = (last - first) * trace.tick_s, last < len(trace)
                found += (one(seconds, ended, first > 0) if up else away(seconds, ended)) if seconds else cls()
        return found


def one(seconds: float, lost: bool, from_the_start: bool = True) -> Lives:
    """One node that was there for so long, and then was lost or was not: it runs still, or we stopped it."""
    if not from_the_start:
        return Lives(_at(UNKNOWN, float(lost)), _at(UNKNOWN, seconds / HOUR))
    hours = tuple(max(0.0, min(seconds, until) - begin) / HOUR for begin, until in _spans())
    return Lives(_at(_span(seconds), float(lost)), (*hours, 0.0))


def away(seconds: float, returned: bool) -> Lives:
    """A time without capacity, and whether it has ended."""
    return Lives(returns=float(returned), away_h=seconds / HOUR)


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed before anything was seen, and how many losses that belief weighs.

    One loss in eight hours lies among recorded zones of scarce machines: others are found to be safer after a day or two.
    `by_age` is the weight of the mean in the rate of one age; of 0.5, 1 and 2 the first did best within earlier halves.
    """

    per_hour: float = 0.125
    recovery_s: float = 1800.0
    losses: float = 1.0
    by_age: float = 0.5


PRIOR = Prior()


@dataclass(frozen=True, slots=True)
class Risk:
    """Losses of one node in an hour, with the bounds that hold it with a chance of 95 %, and how long capacity stays away."""

    per_hour: float
    low: float
    high: float
    by_age: Counts
    recovery_s: float
    losses: float
    hours: float

    def survive(self, seconds: float, age_s: float = 0.0) -> float:
        """The chance that a node of this age is still there so much later."""
        spans = zip(_spans(), self.by_age, strict=True)
        passed = sum(rate * max(0.0, min(age_s + seconds, until) - max(age_s, begin)) for (begin, until), rate in spans)
        return exp(-passed / HOUR)


def learn(lives: Lives, prior: Prior = PRIOR) -> Risk:
    """What is to be expected after what was seen: a gamma prior on each rate, so that no history is the prior and never 0."""
    losses, hours = sum(lives.losses), sum(lives.hours)
    count, exposure = prior.losses + losses, prior.losses / prior.per_hour + hours
    mean = count / exposure
    seen = zip(lives.losses[:UNKNOWN], lives.hours[:UNKNOWN], strict=True)
    by_age = tuple((prior.by_age + lost) / (prior.by_age / mean + stood) for lost, stood in seen)
    recovery_h = (prior.losses * prior.recovery_s / HOUR + lives.away_h) / (prior.losses + lives.returns)
    low, high = (quantile(count, z) / exposure for z in (-1.96, 1.96))
    return Risk(mean, low, high, by_age, recovery_h * HOUR, losses, hours)


def quantile(shape: float, z: float) -> float:
    """Of the gamma distribution with rate 1, at `z` standard deviations of the normal one.

    Wilson and Hilferty 1931: the cube root is almost normal. At shape 1 a bound meant for 2.5 % holds 1.3 %, from 2 on 2.5 %.
    """
    return shape * max(0.0, 1 - 1 / (9 * shape) + z / (3 * sqrt(shape))) ** 3


def _stays(up: NDArray[np.bool_]) -> Iterator[tuple[int, int, bool]]:
    """First tick, tick after the last, and which it was, of every run of equal ticks."""
    edges = [0, *(np.flatnonzero(np.diff(up)) + 1).tolist(), len(up)]
    return ((first, last, bool(up[first])) for first, last in pairwise(edges) if last > first)


def _spans() -> tuple[tuple[float, float], ...]:
    return tuple(zip(AGES, (*AGES[1:], inf), strict=True))


def _span(age_s: float) -> int:
    """The span a loss at this age is in; at its very end it is still in it, for the tick before was survived."""
    return max(0, sum(begin < age_s for begin in AGES) - 1)


def _at(place: int, value: float) -> Counts:
    return tuple(value if i == place else 0.0 for i in range(len(NO_COUNTS)))
