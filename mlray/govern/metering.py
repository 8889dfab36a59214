"""Metering: replicas that hold a node's CPUs -> the charges that are due for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from mlray.govern.snapshot import Replica
from mlray.ledger.entry import Cause, Charge, Usage
from mlray.ledger.meter import Metered, charge


@dataclass(frozen=True, slots=True)
class Lived:
    """A replica and the last instant at which it was known to hold its CPUs."""

    replica: Replica
    cause: Cause
    until: datetime

    @property
    def item(self) -> str:
        return item(self.cause, self.replica)


def item(cause: Cause, replica: Replica) -> str:
    """What a replica is called in the ledger."""
    return f"{cause.job}#{replica.id}"


def due(lived: Iterable[Lived], charged: Mapping[str, Metered], shortest_s: float) -> tuple[Charge, ...]:
    """One charge for each replica that owes `shortest_s` seconds or more and stands on a node with a known price.

    A slice begins where the ledger says the last one ended, so a governor that was away charges the gap once; its key
    is that beginning, so the same slice charged twice counts once. A replica never charged owes from its start.
    """
    charges = (_charge(one, charged.get(one.item)) for one in lived)
    return tuple(c for c in charges if c and c.usage.seconds >= shortest_s)


def _charge(lived: Lived, before: Metered | None) -> Charge | None:
    offer, begin = lived.replica.offer, before.until if before else lived.replica.started
    seconds = (lived.until - begin).total_seconds()
    if offer is None or seconds <= 0:
        return None
    usage = Usage(offer.node_type, offer.capacity, seconds, offer.share(lived.replica.cpus))
    cause = replace(lived.cause, item=lived.item)
    return charge(f"{lived.item}/{begin.isoformat()}", lived.until, usage, offer.price, cause, before.seconds if before else 0.0)
