"""Quote: what a cluster costs for an hour, before anything of it is started."""

from __future__ import annotations

from dataclasses import dataclass

from mlray.market.spec import Capacity, Cluster
from mlray.units import ZERO, Money, Price

MONTH_H = 730


@dataclass(frozen=True, slots=True)
class Line:
    """One node type: how many nodes are kept even when idle, how many there may be, and what one costs an hour."""

    node_type: str
    capacity: Capacity
    least: int
    most: int
    price: Price | None


@dataclass(frozen=True, slots=True)
class Quote:
    """For an hour: what is kept even when idle, and the most that may run at once, on the dearest nodes there may be.

    None where the price of a node type it needs is not known. A month has 730 hours.
    """

    cluster: str
    lines: tuple[Line, ...]
    least: Money | None
    most: Money | None
    least_a_month: Money | None
    most_a_month: Money | None


def quote(cluster: Cluster) -> Quote:
    """The head is one node of its own; workers are at most `max_workers` over all types."""
    lines = tuple(_line(cluster, name) for name in sorted(cluster.available_node_types, key=lambda n: (n != cluster.head_node_type, n)))
    least = _sum([(line, line.least) for line in lines])
    most = _sum(_dearest(lines, cluster.max_workers))
    month = [None if hourly is None else hourly * MONTH_H for hourly in (least, most)]
    return Quote(cluster.cluster_name, lines, least, most, *month)


def _line(cluster: Cluster, name: str) -> Line:
    kind, head = cluster.available_node_types[name], name == cluster.head_node_type
    least, most = (1, 1) if head else (kind.min_workers, kind.max_workers)
    return Line(name, kind.capacity, least, most, cluster.metadata.mlray.known.get(name))


def _dearest(lines: tuple[Line, ...], workers: int) -> list[tuple[Line, int]]:
    """The head, what is kept, and then the dearest nodes until `workers` are reached; an unknown price may be the dearest of all."""
    kept = [(line, line.least) for line in lines]
    left = max(0, workers - sum(line.least for line in lines[1:]))
    more: list[tuple[Line, int]] = []
    for line in sorted(lines[1:], key=lambda line: (line.price is not None, -line.price.per_hour.micros if line.price else 0)):
        count = min(left, line.most - line.least)
        left -= count
        more.append((line, count))
    return kept + more


def _sum(nodes: list[tuple[Line, int]]) -> Money | None:
    total = ZERO
    for line, count in nodes:
        if count and line.price is None:
            return None
        total += line.price.per_hour * count if line.price else ZERO
    return total
