"""Horizon: what the rest of the work is expected to cost from each state, by dynamic programming over the ticks until the deadline.

Backwards over (tick, machine and its delay, regime, state of the market and its age, spare time). Spare time, the ticks that need not be
worked, stands for work left: a tick that works keeps it, one that waits takes one, a launch takes the delay. It lies on a grid and is read
between its points; the delay is exact. The value of a regime supposes that it will be known (QMDP): belief weighs the values at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from mlray.market.regimes import Regimes
from mlray.market.steps import EPS, Task

Values = NDArray[np.float32]

POINTS = 100  # of spare time; 200 change costs by less than 0.05 %
LAYERS = 160  # ticks whose values are kept, besides the last ones
LAST = 40
LATE = 20.0  # times the price of on-demand, for each tick too late: only the slope matters, the guard forbids the place
OFF, ON_DEMAND, SPOT = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Expected dollars after a tick: `layers` of shape (regimes, states, machines, spare points), read by ticks until the deadline.

    Machines are OFF, ON_DEMAND (its delay already taken from the spare time) and SPOT with each `pending` delay a tick can begin with.
    """

    task: Task
    spot: float
    step: float
    pending: tuple[float, ...]
    layers: tuple[Values, ...]
    layer_of: NDArray[np.int64]

    def machine(self, pending: float) -> int:
        """The column of spot with this much of its delay left."""
        return _machine(self.pending, pending)

    def value(self, time: int, weights: NDArray[np.float64], state: int, machine: int, spare: float) -> float:
        """Dollars expected from the tick after next on, `time` ticks before the deadline, with a belief over regimes."""
        layer = self.layers[self.layer_of[min(time, len(self.layer_of) - 1)]]
        at = min(max(spare / self.step, 0.0), layer.shape[3] - 1.0)
        low = min(int(at), layer.shape[3] - 2)
        pair = weights @ layer[:, state, machine, low : low + 2]
        return float(pair[0] + (pair[1] - pair[0]) * (at - low)) + LATE * self.task.price(self.task.on_demand) * max(-spare, 0.0)


def plan(task: Task, regimes: Regimes, spot: float, lost: float = 0.0) -> Plan:
    """Plan for a task whose spot costs `spot` dollars an hour. In a set of zones the state is that of any zone, and `lost` is the chance
    per tick to lose the zone at work while another is still up."""
    sums = _Sums.of(task, regimes, spot, lost)
    values = np.zeros((regimes.count, 2 * len(regimes.ages), SPOT + len(sums.pending), sums.points), np.float32)
    kept: dict[int, Values] = {}
    stride = max(1, ceil(task.ticks / LAYERS))
    for time in range(1, task.ticks + 1):
        expected = sums.expected(values)
        if time <= LAST or time % stride == 0 or time == task.ticks:
            kept[time] = expected
        values = sums.best(expected, time)
    times = np.array(sorted(kept))
    nearest = np.abs(times[None, :] - np.arange(task.ticks + 1)[:, None]).argmin(axis=1)
    return Plan(task, spot, sums.step, sums.pending, tuple(kept[int(time)] for time in times), nearest)


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """The constants of one plan, and its two half-steps: expectation over the market, choice of the machine."""

    task: Task
    chain: Values
    weights: Values
    forget: float
    lost: float
    spot: float
    on_demand: float
    pending: tuple[float, ...]
    step: float
    points: int

    @classmethod
    def of(cls, task: Task, regimes: Regimes, spot: float, lost: float) -> _Sums:
        spare = max(task.ticks - task.work, 1.0)
        step = max(spare / POINTS, 0.25)
        chain, weights = regimes.chain().astype(np.float32), regimes.weights.astype(np.float32)
        prices = task.price(spot), task.price(task.on_demand)
        return cls(task, chain, weights, regimes.forget, lost, *prices, _pending(task.delay), step, ceil(spare / step) + 2)

    def expected(self, values: Values) -> Values:
        """The mean over the market's next state: flips by regime first, then another draw of the regime, now and then."""
        if self.lost:
            half = values.shape[1] // 2
            values = values.copy()
            values[:, half:, SPOT:] += self.lost * (values[:, half:, OFF : OFF + 1] - values[:, half:, SPOT:])
        flat = values.reshape(*values.shape[:2], -1)
        mean = self.chain @ flat
        mixed = (1 - self.forget) * mean + self.forget * np.tensordot(self.weights, mean, axes=1)
        return np.asarray(mixed.reshape(values.shape), np.float32)

    def best(self, expected: Values, time: int) -> Values:
        """The cheapest choice of each state, `time` ticks before the deadline."""
        half = expected.shape[1] // 2
        found = np.empty_like(expected)
        launch = self.on_demand + self._less(expected[:, :, ON_DEMAND], self.task.delay)
        fresh = np.minimum(self._less(expected[:, :, OFF], 1.0), launch)
        first = _machine(self.pending, max(self.task.delay - 1, 0.0))
        begun = self.spot + self._less(expected[:, half:, first], min(self.task.delay, 1.0))
        fresh[:, half:] = np.minimum(fresh[:, half:], begun)
        found[:, :, OFF] = fresh
        found[:, :, ON_DEMAND] = np.minimum(fresh, self.on_demand + expected[:, :, ON_DEMAND])
        for at, pending in enumerate(self.pending):
            on = self.spot + self._less(expected[:, half:, _machine(self.pending, max(pending - 1, 0.0))], min(pending, 1.0))
            found[:, :half, SPOT + at] = fresh[:, :half]
            found[:, half:, SPOT + at] = np.minimum(fresh[:, half:], on)
        found[..., np.arange(self.points) * self.step >= time - EPS] = 0
        return found

    def _less(self, values: Values, spare: float) -> Values:
        """The values with less spare time, read between the points; below none of it they rise steeply."""
        low = floor(spare / self.step + EPS)
        part = np.float32(max(spare / self.step - low, 0.0))
        whole = self._shifted(values, low)
        return whole if part < EPS else np.asarray((1 - part) * whole + part * self._shifted(values, low + 1), np.float32)

    def _shifted(self, values: Values, points: int) -> Values:
        points = min(points, self.points)
        if not points:
            return values
        found = np.empty_like(values)
        found[..., points:] = values[..., : self.points - points]
        steep = LATE * self.on_demand * self.step * np.arange(points, 0, -1, dtype=np.float32)
        found[..., :points] = values[..., :1] + steep
        return found


def _machine(known: tuple[float, ...], pending: float) -> int:
    return SPOT + min(range(len(known)), key=lambda at: abs(known[at] - pending))


def _pending(delay: float) -> tuple[float, ...]:
    """What can be left of a delay at the beginning of a tick: nothing, and all whole ticks less than it."""
    return (0.0, *(delay - ticks for ticks in range(1, ceil(delay - EPS))))
