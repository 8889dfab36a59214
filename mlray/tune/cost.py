"""Costs: what a configuration is expected to cost, learnt from the trials that ended."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlray.tune.trial import Point, Trial
from mlray.units import ZERO, Money

RIDGE = 0.1


@dataclass(frozen=True, slots=True)
class Costs:
    """The logarithm of dollars as a plane over the unit cube, by ridge regression; costs multiply along each axis."""

    weights: tuple[float, ...]
    dearest: Money

    @classmethod
    def learn(cls, trials: tuple[Trial, ...]) -> Costs:
        over = [trial for trial in trials if trial.state.over and trial.spent > ZERO]
        dearest = max((trial.spent for trial in over), default=ZERO)
        if len(over) < 3:
            return cls((), dearest)
        at = np.array([[1.0, *trial.proposal.point] for trial in over])
        cost = np.log([trial.spent.usd for trial in over])
        penalty = RIDGE * np.diag([0.0] + [1.0] * (at.shape[1] - 1))
        return cls(tuple(np.linalg.solve(at.T @ at + penalty, at.T @ cost).tolist()), dearest)

    def expected(self, point: Point) -> Money:
        """The dearest seen while fewer than three trials have ended; at most ten times the dearest after that."""
        if not self.weights:
            return self.dearest
        log = self.weights[0] + sum(w * x for w, x in zip(self.weights[1:], point, strict=True))
        return min(Money.dollars(math.exp(min(log, 20.0))), self.dearest * 10)

    def promised(self, trials: tuple[Trial, ...]) -> Money:
        """What the trials that still run are expected to spend on top of what they did."""
        running = (trial for trial in trials if not trial.state.over)
        return sum((max(ZERO, self.expected(trial.proposal.point) - trial.spent) for trial in running), ZERO)
