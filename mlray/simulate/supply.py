"""Supply: the market of a replay, tick by tick: which offers stand in which slot, how many nodes of it there are, at which price."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mlray.errors import SpecError
from mlray.market.fleet import Slot
from mlray.market.offer import Offer
from mlray.market.spec import Capacity
from mlray.market.trace import EPOCH, Trace
from mlray.units import Money, Price

UNLIMITED = 1 << 30
Most = Mapping[str, int]
NO_LIMITS: Most = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Vein:
    """One slot through the replay: nodes that could be had and micro-dollars for an hour of one, each of shape (ticks,).

    `falls` holds the ticks at which fewer nodes can be had than in the tick before.
    """

    slot: Slot
    offer: Offer
    nodes: NDArray[np.int64]
    micros: NDArray[np.int64]
    falls: frozenset[int]

    def at(self, tick: int) -> Offer:
        """The offer at the price of a tick."""
        return replace(self.offer, price=Price(Money(int(self.micros[tick]))))


@dataclass(frozen=True, slots=True, eq=False)
class Supply:
    """All slots in the order of their names, and by tick those whose price is another one from then on."""

    veins: tuple[Vein, ...]
    repriced: Mapping[int, tuple[Vein, ...]]
    ticks: int
    tick_s: float


def supply(
    offers: Iterable[Offer],
    traces: Iterable[Trace],
    ticks: int,
    tick_s: float,
    start: datetime = EPOCH,
    most: Mapping[str, int] = NO_LIMITS,
) -> Supply:
    """What each offer's zone had in each tick: the state of the trace as the tick begins, `most` nodes of a type at most.

    A trace that tells when it was recorded is read from `start` on, any other from its beginning; one that ends begins anew.

    A spot offer follows the trace of its zone and node type, or of its zone where no trace names the type; on-demand nodes can
    always be had, at the price of the cluster file. A price that nobody recorded is the cluster file's, too. Raises SpecError
    where there is spot, and no trace is of a zone it stands in.
    """
    known = tuple(traces)
    cheapest = _by_slot(offers)
    spot = [slot for slot in cheapest if slot.capacity is Capacity.SPOT]
    if spot and known and not any(_trace(known, cheapest[slot]) for slot in spot):
        zones, traced = sorted({s.zone or "(none)" for s in spot}), sorted({t.zone for t in known})
        raise SpecError(
            f"no trace is of a zone of this cluster: spot nodes stand in {', '.join(zones)}, the traces are of {', '.join(traced)}",
            hint="give the node types of the cluster file the traces' zones (label ray.io/availability-zone), or other traces",
        )
    at = np.arange(ticks, dtype=np.float64) * tick_s
    veins = tuple(
        _vein(slot, offer, _trace(known, offer), at, start, most.get(offer.node_type, UNLIMITED))
        for slot, offer in sorted(cheapest.items())
    )
    return Supply(veins, _repriced(veins), ticks, tick_s)


def _by_slot(offers: Iterable[Offer]) -> dict[Slot, Offer]:
    """One offer for each zone and capacity type: the cheapest, ties to the name that sorts first."""
    found: dict[Slot, Offer] = {}
    for offer in sorted(offers, key=lambda o: (o.price, o.node_type)):
        found.setdefault(Slot(offer.zone, offer.capacity), offer)
    return found


def _trace(traces: tuple[Trace, ...], offer: Offer) -> Trace | None:
    if offer.capacity is not Capacity.SPOT:
        return None
    here = [t for t in traces if t.zone == offer.zone]
    return next((t for t in here if t.node_type == offer.node_type), here[0] if here else None)


def _vein(slot: Slot, offer: Offer, trace: Trace | None, at: NDArray[np.float64], start: datetime, most: int) -> Vein:
    flat = np.full(len(at), offer.price.per_hour.micros, np.int64)
    if trace is None:  # on-demand, or spot in a zone that nothing is known of: there is none to be had
        return Vein(slot, offer, np.full(len(at), most if slot.capacity is Capacity.ON_DEMAND else 0, np.int64), flat, frozenset())
    begun = (start - trace.start).total_seconds() if trace.start != EPOCH else 0.0
    place = ((at + begun) / trace.tick_s + 1e-9).astype(np.int64) % len(trace)
    nodes = np.clip(trace.nodes[place], 0, most)
    recorded = flat / 1e6 if trace.price is None else trace.price[place]
    price = np.where(np.isnan(recorded), flat, np.round(recorded * 1e6)).astype(np.int64)
    falls = frozenset((np.flatnonzero(np.diff(nodes) < 0) + 1).tolist())
    return Vein(slot, offer, nodes, price, falls)


def _repriced(veins: Iterable[Vein]) -> dict[int, tuple[Vein, ...]]:
    found: dict[int, tuple[Vein, ...]] = {}
    for vein in veins:
        for tick in (np.flatnonzero(np.diff(vein.micros)) + 1).tolist():
            found[tick] = (*found.get(tick, ()), vein)
    return found
