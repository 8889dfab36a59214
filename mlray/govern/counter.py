"""Counter: the till of a live cluster: replicas and the nodes they stand on, so that no second of a node is owed twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from mlray.govern.nodes import NodeBooking, Nodes
from mlray.govern.remember import Remembering
from mlray.govern.snapshot import NodeSeen
from mlray.govern.till import Booking, Group, Till
from mlray.ledger.entry import Cause
from mlray.market.offer import Offer
from mlray.units import Money


class AnyBooking(Booking, NodeBooking, Protocol):
    """A whole ledger."""


class Counter:
    """What a governor books by, unless it is given another."""

    def __init__(self, ledger: AnyBooking, memory: Remembering, slice_s: float) -> None:
        self._till, self._nodes = Till(ledger, memory, slice_s), Nodes(ledger, memory)

    def charge(self, groups: Sequence[Group], offers: tuple[Offer, ...], now: datetime, all_of_it: bool = False) -> None:
        self._till.charge(groups, offers, now, all_of_it)

    def nodes(
        self, nodes: tuple[NodeSeen, ...], causes: Mapping[str, Cause], offers: tuple[Offer, ...], now: datetime, all_of_it: bool = False
    ) -> None:
        if self._nodes.charge(nodes, causes, offers, now, all_of_it):
            self._till.relieved()

    def owed(self, now: datetime) -> dict[str, Money]:
        """By deployment, and under `cluster/` what nodes cost beyond the work on them."""
        return self._till.owed(now) | self._nodes.owed(now, self._till.worked(now))
