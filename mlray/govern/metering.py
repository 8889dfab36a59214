"""Metering: replicas that hold a node's CPUs -> the charges that are due for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from datetime import datetime

from mlray.govern.snapshot import Replica
from mlray.ledger.entry import Cause, Charge, Usage
from mlray.ledger.meter import Metered, charge
from mlray.units import Price


@dataclass(frozen=True, slots=True)
class Lived:
    """A replica and the last instant at which it was known to hold its CPUs; `listed` is what its node would cost on demand."""

    replica: Replica
    cause: Cause
    until: datetime
    listed: Price | None = None

    @property
    def item(self) -> str:
        return item(self.cause, self.replica)

    @property
    def rate(self) -> float:
        """Micro-dollars an hour; 0 where the price is unknown."""
        offer = self.replica.offer
        return 0.0 if offer is None else offer.price.per_hour.micros * offer.share(self.replica.cpus)


def item(cause: Cause, replica: Replica) -> str:
    """What a replica is called in the ledger."""
    return f"{cause.job}#{replica.id}"


def due(lived: Iterable[Lived], charged: MutableMapping[str, Metered], shortest_s: float) -> tuple[Charge, ...]:
    """One charge for each replica that owes `shortest_s` seconds or more and stands on a node with a known price.

    A slice begins where the ledger says the last one ended, so a governor that was away charges the gap once; its key
    is that beginning, so the same slice charged twice counts once. A replica never charged owes from its start. `charged`
    is moved on by what is charged here, so that one replica may owe two slices, at two prices.
    """
    found = []
    for one in lived:
        made = _charge(one, charged.get(one.item), shortest_s)
        if made is not None:
            before = charged.get(one.item)
            charged[one.item] = Metered(made.at, (before.seconds if before else 0.0) + made.usage.seconds)
            found.append(made)
    return tuple(found)


def began(lived: Lived, charged: Mapping[str, Metered]) -> datetime:
    """From when on the replica owes."""
    before = charged.get(lived.item)
    return before.until if before else lived.replica.started


def _charge(lived: Lived, before: Metered | None, shortest_s: float) -> Charge | None:
    replica, begin = lived.replica, before.until if before else lived.replica.started
    seconds = (lived.until - begin).total_seconds()
    if replica.offer is None or seconds <= 0 or seconds < shortest_s:
        return None
    offer = replica.offer
    usage = Usage(offer.node_type, offer.capacity, seconds, offer.share(replica.cpus), node=replica.node, state=replica.state)
    cause = replace(lived.cause, item=lived.item)
    total = before.seconds if before else 0.0
    return charge(f"{lived.item}/{begin.isoformat()}", lived.until, usage, offer.price, cause, total, lived.listed)
