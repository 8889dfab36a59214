"""Guard: which choices can never make the work late. Exact, and blind to every forecast."""

from __future__ import annotations

from mlray.market.steps import EPS, Choice, Standing, Task, advance


def safe(task: Task, standing: Standing, choice: Choice, zone: str = "") -> bool:
    """Whether on-demand, begun one tick later, would still meet the deadline, were spot never seen again.

    Asked before each tick, so that on-demand is forced while it still fits: the last safe tick is used, and none after it. Once on
    on-demand, staying is safe as long as the work fits.
    """
    after = advance(task, standing, choice, zone)
    if after.time < 0:
        return False
    if after.done:
        return True
    needed = after.left + (after.pending if choice is Choice.ON_DEMAND else task.delay + task.margin)
    return needed <= after.time + EPS
