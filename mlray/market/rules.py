"""Rules: the simple policies that deadline work is compared with. They need no history."""

from __future__ import annotations

from math import ceil

from mlray.market.rehearse import Offered
from mlray.market.steps import EPS, Choice, Standing, Task

Chosen = tuple[Choice, str]


def greedy(task: Task, standing: Standing, offered: Offered) -> Chosen:
    """Spot wherever it is up, else wait, until only on-demand is sure to be in time."""
    if _fits_no_more(task, standing, task.delay):
        return _until_taken(standing)
    return _spot(standing, offered) or (Choice.WAIT, "")


def uniform(task: Task, standing: Standing, offered: Offered) -> Chosen:
    """Uniform Progress (Wu et al., Can't Be Late, NSDI 2024, section 4), as its authors coded it.

    Spot wherever it is up; else on-demand while behind the straight line from nothing to all done at the deadline, and then until
    spot returns. With several zones a lost zone is left at once for the cheapest that is up (eager failover).
    """
    if _fits_no_more(task, standing, task.delay):
        return _until_taken(standing)
    if _fits_no_more(task, standing, 2 * task.delay) and standing.on is not Choice.SPOT:
        return Choice.ON_DEMAND, ""
    if spot := _spot(standing, offered):
        return spot
    passed = task.ticks - standing.time
    behind = task.work - standing.left < passed * task.work / task.ticks_of(task.deadline_h)
    return (Choice.ON_DEMAND if behind or standing.on is Choice.ON_DEMAND else Choice.WAIT), ""


def _fits_no_more(task: Task, standing: Standing, delay: float) -> bool:
    return ceil(standing.left + delay - EPS) >= standing.time


def _until_taken(standing: Standing) -> Chosen:
    """Spot that is at work may go on: it loses no time, and leaves as much as it found when it is taken."""
    keeps = standing.on is Choice.SPOT and standing.pending < EPS
    return (Choice.SPOT, standing.zone) if keeps else (Choice.ON_DEMAND, "")


def _spot(standing: Standing, offered: Offered) -> Chosen | None:
    if not offered:
        return None
    return Choice.SPOT, standing.zone if standing.zone in offered else min(offered, key=lambda zone: offered[zone])
