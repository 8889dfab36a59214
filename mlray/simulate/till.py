"""Till: charges a replay's nodes as each tick ends, in one charge for all nodes of a kind that serve one cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from mlray.govern.snapshot import NodeSeen
from mlray.ledger.entry import Cause, Charge, Entry, Usage
from mlray.market.offer import Offer
from mlray.units import Money

HOUR_US = 3600 * 10**6
MICROSECOND = timedelta(microseconds=1)


class Kind(NamedTuple):
    """Nodes that are charged together: whom they are for, what they are and do."""

    cause: Cause
    node_type: str
    capacity: str
    state: str


class Running(NamedTuple):
    """Nodes of a kind, parts of nodes included, and what an hour of all of them costs now, in micro-dollars."""

    nodes: float
    micros: int


class Ledger(Protocol):
    """Where charges go."""

    def append(self, *entries: Entry) -> None: ...


class SimTill:
    """What runs, and what it is charged. Prices change as ticks begin, so that a tick has one price.

    Each charge is the difference of two totals of its kind, each rounded half-even to the micro-dollar: however many there are, they sum
    to the integral of price over time.
    """

    def __init__(self, ledger: Ledger, cluster: str) -> None:
        self._ledger, self._cluster = ledger, cluster
        self._exact: dict[Kind, int] = {}  # micro-dollars an hour x microseconds
        self._running: Mapping[Kind, Running] = {}
        self._since: datetime | None = None

    def runs(self, running: Mapping[Kind, Running], now: datetime) -> None:
        """What runs from now on, until it is said anew."""
        self._running, self._since = running, now

    def charge(self, groups: Sequence[object], offers: tuple[Offer, ...], now: datetime, all_of_it: bool = False) -> None:
        """What a governor asks for as it looks: all is booked already, because the world books as a tick ends."""
        self.book(now)

    def owed(self, now: datetime) -> Mapping[str, Money]:
        return {}

    def nodes(
        self,
        nodes: tuple[NodeSeen, ...],
        causes: Mapping[str, Cause],
        offers: tuple[Offer, ...],
        now: datetime,
        all_of_it: bool = False,
    ) -> None:
        """Every node of a replay is bought for somebody, who is charged for all of it."""

    def book(self, now: datetime) -> None:
        """Books what ran since the last time. Asked twice at one instant it books once."""
        if self._since is None or now <= self._since:
            return
        passed = (now - self._since) // MICROSECOND
        self._ledger.append(*(self._charge(kind, running, now, passed) for kind, running in self._running.items()))
        self._since = now

    def _charge(self, kind: Kind, running: Running, now: datetime, passed: int) -> Charge:
        """It counts in the window it was spent in: its instant is the last one of the tick."""
        before = self._exact.get(kind, 0)
        after = self._exact[kind] = before + running.micros * passed
        usage = Usage(kind.node_type, kind.capacity, running.nodes * passed / 1e6, state=kind.state, cluster=self._cluster)
        key = f"{kind.cause.stage}/{kind.cause.job}/{kind.cause.run}/{kind.node_type}/{kind.state}/{now.timestamp():.3f}"
        waste = "idle" if kind.state == "idle" else ""
        return Charge(key, now - MICROSECOND, Money(_rounded(after) - _rounded(before)), kind.cause, usage, waste=waste)


def _rounded(exact: int) -> int:
    whole, rest = divmod(exact, HOUR_US)
    return whole + (2 * rest > HOUR_US or (2 * rest == HOUR_US and whole % 2))
