"""propose: history + space + what is left -> the next configuration, the cheap ones first.

A local search in the unit cube after FLOW2 (Wu, Wang and Huang, "Frugal Optimization for Cost-related Hyperparameters",
AAAI 2021, Algorithm 1): from the best point so far go one step along a random direction; if that was no better, go the
opposite way. It compares values only and moves by bounded steps, so from a cheap start its cost stays near the cost of
what is needed (their Theorems 2 and 3). Around it, as in their CFO, the step shrinks when nothing improves, and when it
is as fine as the space the search starts again from a random point near the cheap one. A configuration that does not fit
into what is left gives way to one that does.

Trials run side by side: while the opposite of a move cannot be known yet, another direction is tried.

Measured on late flights (a 25th of the rows, 7 axes, 4 seeds, mean validation AUC): after $0.0003 of training 0.710, what
random points reach after $0.0015. Taking the cheapest of 2, 4 or 8 directions was tried and refused: it reached the top
of a hill for 13 to 36 % more dollars, because the way up is the way to dearer models.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mlray.tune.cost import Costs
from mlray.tune.space import Space, finest_step, params, start
from mlray.tune.trial import Point, Proposal, Trial
from mlray.units import ZERO, Money

FIRST_STEP = 0.1  # of the diagonal
STALE_PER_AXIS = 2  # misses before the step shrinks; the paper allows 2^(axes-1), more trials than dollars
SPREAD = 0.25  # of a new start around the cheap one, per axis
TRIES = 8


@dataclass(frozen=True, slots=True)
class Walk:
    """One start and the moves from it: the best trial, and the step to take now."""

    restart: int
    trials: tuple[Trial, ...]
    best: Trial | None
    step: float


@dataclass(frozen=True, slots=True)
class Exhausted:
    """There is no next configuration."""

    reason: str


def propose(space: Space, trials: tuple[Trial, ...], left: Money, rng: np.random.Generator) -> Proposal | Exhausted:
    """The next configuration. The same arguments and generator state give the same answer."""
    if not trials:
        return Proposal(params(space, start(space)), start(space))
    costs = Costs.learn(trials)
    free = left - costs.promised(trials)
    new = tuple(_candidates(space, trials, rng))
    if not new:
        return Exhausted("every configuration near the best was tried")
    affordable = (found for found in new if costs.expected(found.point) <= free)
    return next(affordable, Exhausted(f"no further trial fits into the {max(ZERO, free)} that is free"))


def _candidates(space: Space, trials: tuple[Trial, ...], rng: np.random.Generator) -> Iterator[Proposal]:
    """New configurations, the preferred first; the last of them are fresh starts, which are cheap."""
    walk = _walk(space, trials)
    known = {trial.proposal.params for trial in trials}
    steps = [back] if (back := _opposite(space, walk)) else []
    steps += [_move(space, walk, rng) for _ in range(TRIES)]
    starts = [_restart(space, walk.restart + 1, rng, SPREAD * (1 + number)) for number in range(TRIES)]
    order = [*starts, *steps] if walk.step < finest_step(space) else [*steps, *starts]
    return (found for found in order if found.params not in known)


def _walk(space: Space, trials: tuple[Trial, ...]) -> Walk:
    """Folds the trials of the newest restart, in the order in which they were proposed."""
    restart = max(trial.proposal.restart for trial in trials)
    mine = tuple(trial for trial in trials if trial.proposal.restart == restart)
    step, best, best_at, stale, seen = FIRST_STEP * math.sqrt(len(space)), None, 1, 0, 0
    for trial in mine:
        if not trial.state.over:
            continue
        seen += 1
        if best is None or (trial.auc or 0.0) > (best.auc or 0.0):
            best, best_at, stale = trial, seen, 0
            continue
        stale += 1
        if stale >= STALE_PER_AXIS * len(space):
            step, stale = step * math.sqrt(best_at / seen), 0
    return Walk(restart, mine, best, step)


def _restart(space: Space, restart: int, rng: np.random.Generator, spread: float) -> Proposal:
    point = _clip(np.array(start(space)) + rng.normal(0.0, spread, len(space)))
    return Proposal(params(space, point), point, restart)


def _opposite(space: Space, walk: Walk) -> Proposal | None:
    """The way back from the newest miss that left from the best point, unless it was tried."""
    if walk.best is None:
        return None
    moves = [trial for trial in walk.trials if trial.proposal.base == walk.best.id]
    tried = {trial.proposal.direction for trial in moves}
    for trial in reversed(moves):
        back = tuple(-along for along in trial.proposal.direction)
        if trial.state.over and back not in tried:
            return _step(space, walk, walk.best, back)
    return None


def _move(space: Space, walk: Walk, rng: np.random.Generator) -> Proposal:
    """Along a direction uniform on the sphere."""
    base = walk.best or walk.trials[0]
    ball = rng.normal(size=len(space))
    return _step(space, walk, base, tuple((ball / np.linalg.norm(ball)).tolist()))


def _step(space: Space, walk: Walk, base: Trial, direction: Point) -> Proposal:
    point = _clip(np.array(base.proposal.point) + walk.step * np.array(direction))
    return Proposal(params(space, point), point, walk.restart, base.id, direction)


def _clip(point: np.ndarray) -> Point:
    return tuple(np.clip(point, 0.0, 1.0).tolist())
