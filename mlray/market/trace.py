"""Trace: what a market offered in one zone, tick by tick: how many nodes could be had, and at which price."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """One zone's history in ticks of `tick_s` seconds from `start` on.

    `nodes` has shape (ticks,): how many nodes could run there in that tick. `price` has the same shape, in dollars for an
    hour of one node, or is None where nobody recorded it.
    """

    zone: str
    tick_s: float
    nodes: NDArray[np.int64]
    price: NDArray[np.float64] | None = None
    node_type: str = ""
    start: datetime = EPOCH

    def __post_init__(self) -> None:
        if self.tick_s <= 0 or self.nodes.ndim != 1 or (self.price is not None and self.price.shape != self.nodes.shape):
            raise ValueError(f"{self.zone}: ticks of {self.tick_s} s, nodes of shape {self.nodes.shape}: one row of ticks is wanted")

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def seconds(self) -> float:
        return len(self) * self.tick_s

    @property
    def up(self) -> NDArray[np.bool_]:
        """Whether at least one node could be had, by tick."""
        found: NDArray[np.bool_] = self.nodes > 0
        return found

    def part(self, first: int, last: int) -> Trace:
        """Ticks first <= t < last, with the time they begin at."""
        price = None if self.price is None else self.price[first:last]
        start = self.start + timedelta(seconds=first * self.tick_s)
        return Trace(self.zone, self.tick_s, self.nodes[first:last], price, self.node_type, start)

    def halves(self) -> tuple[Trace, Trace]:
        """The earlier half, to learn from, and the later one, to be judged on."""
        middle = len(self) // 2
        return self.part(0, middle), self.part(middle, len(self))
