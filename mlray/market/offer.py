"""Offer: one kind of node in one zone at its price; which of them is the cheapest that will do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mlray.market.spec import ZONE_LABEL, Capacity, Cluster, Interruptions
from mlray.units import Price


@dataclass(frozen=True, slots=True)
class Offer:
    """A node that may be bought by the hour. `interruptions` is None where the cluster file declares none."""

    node_type: str
    zone: str
    capacity: Capacity
    price: Price
    cpus: int
    interruptions: Interruptions | None = None

    def share(self, cpus: float) -> float:
        """The share of the node that `cpus` of it are, at most 1; a node without CPUs is taken whole."""
        return min(1.0, cpus / self.cpus) if self.cpus else 1.0


def offers(cluster: Cluster) -> tuple[Offer, ...]:
    """What the cluster's autoscaler may buy: every worker type that may have at least one node and whose price is known."""
    known = cluster.metadata.mlray.known
    return tuple(
        _offer(cluster, name, known[name])
        for name, kind in cluster.available_node_types.items()
        if name != cluster.head_node_type and kind.max_workers > 0 and name in known
    )


def by_type(cluster: Cluster) -> dict[str, Offer]:
    """What each node that runs costs, the head and types that nobody may buy more of included; without those of unknown price."""
    known = cluster.metadata.mlray.known
    return {name: _offer(cluster, name, known[name]) for name in cluster.available_node_types if name in known}


def cheapest(candidates: Iterable[Offer], market: str = "any", cpus: float = 0) -> Offer | None:
    """The offer with the lowest price for a whole node, in a market (spot, on-demand, any) and with at least `cpus`.

    None when nothing fits: a price nobody knows, never a free one. Ties go to the name that sorts first.
    """
    fitting = [o for o in candidates if market in ("any", o.capacity) and o.cpus >= cpus]
    return min(fitting, key=lambda o: (o.price, o.node_type), default=None)


def on_demand(offer: Offer, candidates: Iterable[Offer]) -> Price | None:
    """What a node like this one costs on demand: one with as many CPUs, the cheapest. None, and no savings, where there is none."""
    if offer.capacity == Capacity.ON_DEMAND:
        return offer.price
    alike = [o.price for o in candidates if o.capacity == Capacity.ON_DEMAND and o.cpus == offer.cpus]
    return min(alike, default=None)


def _offer(cluster: Cluster, name: str, price: Price) -> Offer:
    kind, market = cluster.available_node_types[name], cluster.metadata.mlray
    zone = kind.labels.get(ZONE_LABEL, "")
    return Offer(name, zone, kind.capacity, price, kind.resources.get("CPU", 0), market.interruptions.get(name))
