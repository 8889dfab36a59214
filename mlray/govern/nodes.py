"""Nodes: charges nodes to their cluster for what no work pays, second by second and each second once.

The arithmetic is the ledger's (`ledger.nodes`); here is what it must know: when each node began, at which price and in which state.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from mlray.errors import StoreError
from mlray.govern.remember import NODE, NODES_LOOKED, Remembering, node_of, node_text, parts
from mlray.govern.snapshot import NodeSeen
from mlray.govern.till import CLUSTERS
from mlray.ledger.entry import Cause, Charge, Entry
from mlray.ledger.meter import Metered
from mlray.ledger.nodes import EPOCH, SLICE_S, NodeLife, charged_to, node_charges, relief
from mlray.market.offer import Offer, on_demand
from mlray.units import Money

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
        texts = memory.remembered()
        self._lives = {life.node: life for life in map(node_of, parts(texts, NODE))}
        self._last = datetime.fromisoformat(texts[NODES_LOOKED]) if NODES_LOOKED in texts else None
        self._booked: datetime | None = None
        self._unsaid: dict[str, str] = {}

    def charge(
        self, nodes: tuple[NodeSeen, ...], causes: Mapping[str, Cause], offers: tuple[Offer, ...], now: datetime, all_of_it: bool = False
    ) -> bool:
        """Notes what changed, and books once in a slice: whether it did. A node that is gone ended at the last look at it."""
        self._unsaid |= self._see(nodes, causes, offers, now)
        try:
            self._memory.remember({**self._unsaid, NODES_LOOKED: now.isoformat()})
            self._unsaid = {}
            if all_of_it or self._booked is None or self._sliced(now) > self._sliced(self._booked):
                self._book(now)
                return True
        except StoreError:
            return False
        return False

    def owed(self, now: datetime, worked: Money) -> dict[str, Money]:
        """What nodes ran up and is not booked yet, under `cluster/` and the name of each.

        `worked` is what work on them cost that is not taken out of them yet; with several clusters nobody says of which, so it stays in.
        """
        rates: defaultdict[str, float] = defaultdict(float)
        for life in self._lives.values():
            price, until = life.prices[-1][1], life.ended or now
            if price is not None and (self._booked is None or until > self._booked or life.ended is None):
                rates[life.cluster] += price.per_hour.micros * (until - self._from(life)).total_seconds() / 3600
        less = worked.micros if len(rates) == 1 else 0
        return {CLUSTERS + cluster: Money(int(owed) - less) for cluster, owed in rates.items()}

    def _from(self, life: NodeLife) -> datetime:
        """Where its next slice begins: slices end at whole multiples of their length."""
        if self._booked is None:
            return life.begun
        return max(life.begun, self._sliced(self._booked))

    def _sliced(self, at: datetime) -> datetime:
        """The end of the newest slice. Windows begin there, too: what is booked when one ends counts in the window it was spent in."""
        return at - (at - EPOCH) % timedelta(seconds=self._slice_s)

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
    listed_price = on_demand(node.offer, offers)
    return NodeLife(node.id, node.offer.node_type, capacity, price, node.begun, cause, None, states, node.cluster, node.head, listed_price)


def _go_on(life: NodeLife, node: NodeSeen, now: datetime) -> NodeLife:
    """The same, unless its price or state is another from now on; one that was out of sight for a while was there all the time."""
    if life.ended is not None:
        life = replace(life, ended=None)
    price, state = node.offer.price if node.offer else None, _state(node)
    if life.prices[-1][1] != price:
        life = replace(life, prices=(*life.prices, (now, price)))
    if life.states[-1][1] != state:
        life = replace(life, states=(*life.states, (now, state)))
    return life


def _state(node: NodeSeen) -> str:
    """Idle is what the ledger makes of a node that runs without work."""
    return node.state if node.state in ("starting", "draining") else "running"
