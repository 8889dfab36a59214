"""Foresight: the least that deadline work could have cost had the future been known. Exact, to judge policies by."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import ceil, gcd, inf

import numpy as np
from numpy.typing import NDArray

from mlray.market.rehearse import Offered
from mlray.market.steps import EPS, Task

Costs = NDArray[np.float64]


def cheapest(task: Task, offered: Sequence[Offered]) -> float:
    """Dollars; infinite where even on-demand from the first tick is late. Lengths are whole seconds.

    Dynamic programming over (tick, machine, spare time), where spare time lies on the grid that work, tick and delay have in common.
    Whoever knows the future never launches what is taken, or left, before it has worked: a launch is one step, up to the first tick
    that works.
    """
    lengths = [round(task.tick_s), round(task.delay_h * 3600), round(task.work_h * 3600)]
    unit = gcd(*lengths)
    tick, delay, work = (length // unit for length in lengths)
    points = task.ticks * tick - work + 1
    if points <= 0:
        return inf
    prices = _prices(task, offered)
    span = max(1, ceil(task.delay - EPS))
    off, on = np.zeros(points), np.zeros((len(prices), points))
    later: deque[Costs] = deque([on], maxlen=span)
    spare = np.arange(points)
    for at in range(task.ticks - 1, -1, -1):
        best = _with(off, tick)
        if len(later) == span:
            launch = prices[:, at : at + span].sum(axis=1)
            best = np.minimum(best, _with((launch[:, None] + later[0]).min(axis=0), delay))
        on = np.minimum(best, prices[:, at, None] + on)
        done = spare >= (task.ticks - at) * tick
        best[done], on[:, done] = 0.0, 0.0
        off = best
        later.append(on)
    return float(off[-1])


def _prices(task: Task, offered: Sequence[Offered]) -> Costs:
    """Dollars of each tick by machine, on-demand first; infinite where it is not up."""
    zones = sorted({zone for now in offered[: task.ticks] for zone in now})
    rows = [[task.price(now.get(zone, inf)) for now in offered[: task.ticks]] for zone in zones]
    return np.array([[task.price(task.on_demand)] * task.ticks, *rows])


def _with(costs: Costs, less: int) -> Costs:
    """The costs with so much less spare time; infinite where there is not as much."""
    found = np.full_like(costs, inf)
    if less < len(costs):
        found[less:] = costs[: len(costs) - less]
    return found
