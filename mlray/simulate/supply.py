"""Supply: the market of a replay, tick by tick: which offers stand in which slot, how many nodes of it there are, at which price."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlray.errors import SpecError
from mlray.market.fleet import Slot
from mlray.market.offer import Offer
from mlray.market.spec import Capacity
from mlray.market.trace import Trace
from mlray.units import Money, Price

UNLIMITED = 1 << 30


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


def supply(offers: Iterable[Offer], traces: Iterable[Trace], ticks: int, tick_s: float) -> Supply:
    """What each offer's zone had in each tick: the state of the trace as the tick begins. A trace that ends begins anew.

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
    veins = tuple(_vein(slot, cheapest[slot], _trace(known, cheapest[slot]), ticks, tick_s) for slot in sorted(cheapest))
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


def _vein(slot: Slot, offer: Offer, trace: Trace | None, ticks: int, tick_s: float) -> Vein:
    flat = np.full(ticks, offer.price.per_hour.micros, np.int64)
    if trace is None:  # on-demand, or spot in a zone that nothing is known of: there is none to be had
        nodes = np.full(ticks, UNLIMITED if slot.capacity is Capacity.ON_DEMAND else 0, np.int64)
        return Vein(slot, offer, nodes, flat, frozenset())
    at = (np.arange(ticks) * tick_s / trace.tick_s + 1e-9).astype(np.int64) % len(trace)
    nodes = np.maximum(0, trace.nodes[at])
    price = flat if trace.price is None else np.where(np.isnan(trace.price[at]), flat, np.round(trace.price[at] * 1e6)).astype(np.int64)
    falls = frozenset((np.flatnonzero(np.diff(nodes) < 0) + 1).tolist())
    return Vein(slot, replace(offer, price=Price(Money(int(price[0])))), nodes, price, falls)


def _repriced(veins: Iterable[Vein]) -> dict[int, tuple[Vein, ...]]:
    found: dict[int, tuple[Vein, ...]] = {}
    for vein in veins:
        for tick in (np.flatnonzero(np.diff(vein.micros)) + 1).tolist():
            found[tick] = (*found.get(tick, ()), vein)
    return found
