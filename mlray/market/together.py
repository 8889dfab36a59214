"""Together: whether losses come alone: of the nodes of one zone, and of zones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlray.market.trace import Trace

WITHIN_S = 180.0
# Before anything was seen, a loss is as likely to come alone as not; that weighs two chances.
BELIEVED, WEIGHT = 0.5, 2.0


@dataclass(frozen=True, slots=True)
class Joint:
    """The chance that another is lost too once one is; of how many chances; and that of any such time, loss or no loss."""

    share: float
    chances: int
    base: float

    @property
    def lift(self) -> float:
        """How many times likelier than at any time; 1 where a loss tells nothing of the other."""
        return self.share / self.base if self.base else 1.0


def of_nodes(trace: Trace, within_s: float = WITHIN_S) -> Joint:
    """Of the other nodes of the zone, within so many seconds (at least in the same tick)."""
    lost = _lost(trace)
    left = np.maximum(trace.nodes[:-1] - 1, 0)
    also = np.minimum(_ahead(lost, _ticks(trace, within_s)) - 1, left)
    chances = int((lost * left)[lost > 0].sum())
    taken = float((lost * also)[lost > 0].sum())
    at_any = float(np.minimum(_ahead(lost, _ticks(trace, within_s)), trace.nodes[:-1]).sum() / max(1, trace.nodes[:-1].sum()))
    return Joint(_believed(taken, chances), chances, at_any)


def of_zones(one: Trace, other: Trace, within_s: float = WITHIN_S) -> Joint:
    """That the other zone loses nodes too, before or after, where it had any."""
    if one.tick_s != other.tick_s or one.start != other.start:
        raise ValueError(
            f"{one.zone} and {other.zone} are not aligned: ticks of {one.tick_s} and {other.tick_s} s, {one.start}, {other.start}"
        )
    ticks = min(len(one), len(other)) - 1
    first, second = _lost(one)[:ticks] > 0, _lost(other)[:ticks] > 0
    width = _ticks(one, within_s)
    near = (_ahead(second, width) + _ahead(second[::-1], width)[::-1]) > 0
    there = near | (other.nodes[:ticks] > 0)
    chances = int((first & there).sum())
    base = float(near[there].mean()) if there.any() else 0.0
    return Joint(_believed(float((first & near & there).sum()), chances, base), chances, base)


def correlation(traces: Sequence[Trace]) -> NDArray[np.float64]:
    """Of the availability of every two zones, over the ticks all have; 0 where one never changed."""
    ticks = min(map(len, traces))
    up = np.array([trace.up[:ticks] for trace in traces], np.float64)
    centred = up - up.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).sum(axis=1))
    scale = np.outer(spread, spread)
    found: NDArray[np.float64] = np.divide(centred @ centred.T, scale, out=np.zeros_like(scale), where=scale > 0)
    return found


def _believed(taken: float, chances: int, base: float = BELIEVED) -> float:
    return (WEIGHT * base + taken) / (WEIGHT + chances)


def _lost(trace: Trace) -> NDArray[np.int64]:
    """Nodes gone from each tick to the next."""
    return np.maximum(-np.diff(trace.nodes), 0)


def _ticks(trace: Trace, within_s: float) -> int:
    return max(1, int(within_s // trace.tick_s) + 1)


def _ahead(values: NDArray[np.int64] | NDArray[np.bool_], width: int) -> NDArray[np.int64]:
    """The sum over each place and the ones after it, `width` in all."""
    total = np.concatenate([[0], np.cumsum(values)])
    last = np.minimum(np.arange(len(values)) + width, len(values))
    found: NDArray[np.int64] = total[last] - total[:-1]
    return found
