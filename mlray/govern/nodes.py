"""Nodes: charges nodes to their cluster for what no work pays, second by second and each second once.

The arithmetic is the ledger's (`ledger.nodes`); here is what it must know: when each node began, at which price and in which state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from mlray.errors import StoreError
from mlray.govern.metering import listed
from mlray.govern.remember import NODE, Remembering, node_of, node_text, parts
from mlray.govern.snapshot import NodeSeen
from mlray.ledger.entry import Cause, Charge, Entry
from mlray.ledger.meter import Metered
from mlray.ledger.nodes import SLICE_S, NodeLife, charged_to, node_charges, relief
from mlray.market.offer import Offer

# Work may be charged this long after it was done: a search books when a trial reports.
LATE = timedelta(minutes=30)


class NodeBooking(Protocol):
    """What is needed of a ledger."""

    def settle(self, items: Iterable[str], due: Callable[[Mapping[str, Metered]], Iterable[Entry]]) -> tuple[Entry, ...]: ...

    def entries(
        self, policy: str | None = None, since: datetime | None = None, until: datetime | None = None, nodes: Iterable[str] | None = None
    ) -> tuple[Entry, ...]: ...


class Nodes:
    """The nodes of a cluster as they were seen. What the governor before saw is remembered."""

    def __init__(self, ledger: NodeBooking, memory: Remembering, slice_s: float = SLICE_S) -> None:
        self._ledger, self._memory, self._slice_s = ledger, memory, slice_s
        self._lives = {life.node: life for life in map(node_of, parts(memory.remembered(), NODE))}
        self._last = None if not self._lives else min(life.begun for life in self._lives.values())
        self._booked: datetime | None = None

    def charge(
        self, nodes: tuple[NodeSeen, ...], causes: Mapping[str, Cause], offers: tuple[Offer, ...], now: datetime, all_of_it: bool = False
    ) -> None:
        """Notes what changed, and books once in a slice. A node that is gone ended at the last look at it."""
        changed = self._see(nodes, causes, offers, now)
        try:
            if changed:
                self._memory.remember(changed)
            if all_of_it or self._booked is None or (now - self._booked).total_seconds() >= self._slice_s:
                self._book(now)
        except StoreError:
            return

    def _see(self, nodes: tuple[NodeSeen, ...], causes: Mapping[str, Cause], offers: tuple[Offer, ...], now: datetime) -> dict[str, str]:
        changed = {}
        for node in nodes:
            before = self._lives.get(node.id)
            after = _begin(node, causes[node.cluster], offers) if before is None else _go_on(before, node, now)
            if after is not before and after is not None:
                self._lives[node.id] = after
                changed[NODE + node.id] = node_text(after)
        for gone in self._lives.keys() - {node.id for node in nodes}:
            if self._lives[gone].ended is None:
                self._lives[gone] = replace(self._lives[gone], ended=self._last or now)
                changed[NODE + gone] = node_text(self._lives[gone])
        self._last = now
        return changed

    def _book(self, now: datetime) -> None:
        lives = list(self._lives.values())
        self._ledger.settle([life.item for life in lives], lambda known: [c for life in lives for c in self._due(life, known, now)])
        since = now - LATE if self._booked is None else self._booked - LATE
        work = self._ledger.entries(since=since, nodes=list(self._lives)) if lives else ()
        charges = [entry for entry in work if isinstance(entry, Charge)]
        self._ledger.settle([], lambda known: relief(charges, self._lives))
        self._booked = now
        self._drop(now)

    def _due(self, life: NodeLife, known: Mapping[str, Metered], now: datetime) -> tuple[Entry, ...]:
        before = known.get(life.item)
        return node_charges(life, charged_to(before.until) if before else None, now, self._slice_s)

    def _drop(self, now: datetime) -> None:
        """Nodes that ended so long ago that no more work of theirs is charged."""
        old = [node for node, life in self._lives.items() if life.ended is not None and now - life.ended > 2 * LATE]
        if old:
            self._memory.remember({NODE + node: "" for node in old})
        for node in old:
            del self._lives[node]


def _begin(node: NodeSeen, cause: Cause, offers: tuple[Offer, ...]) -> NodeLife | None:
    """A node without a known price is not charged until it has one, and then from its begin."""
    if node.offer is None:
        return None
    price, capacity = ((node.begun, node.offer.price),), str(node.offer.capacity)
    states = ((node.begun, _state(node)),)
    listed_price = listed(node.offer, offers)
    return NodeLife(node.id, node.offer.node_type, capacity, price, node.begun, cause, None, states, node.cluster, node.head, listed_price)


def _go_on(life: NodeLife, node: NodeSeen, now: datetime) -> NodeLife:
    """The same, unless its price or state is another from now on."""
    price, state = node.offer.price if node.offer else None, _state(node)
    if life.prices[-1][1] != price:
        life = replace(life, prices=(*life.prices, (now, price)))
    if life.states[-1][1] != state:
        life = replace(life, states=(*life.states, (now, state)))
    return life


def _state(node: NodeSeen) -> str:
    """Idle is what the ledger makes of a node that runs without work."""
    return node.state if node.state in ("starting", "draining") else "running"
