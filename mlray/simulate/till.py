"""Till: charges a replay's nodes as each tick ends, in one charge for all nodes of a kind that serve one cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(slots=True)
class Meter:
    """What one kind ran up: exactly, in micro-dollars an hour x microseconds, and as it was charged. `usage` is that of its last charge."""

    name: str
    exact: int = 0
    charged: int = 0
    usage: Usage | None = None

    def add(self, more: int) -> int:
        """The micro-dollars to charge for it: the difference of two totals, each rounded half-even."""
        self.exact += more
        whole, rest = divmod(self.exact, HOUR_US)
        total = whole + (2 * rest > HOUR_US or (2 * rest == HOUR_US and whole % 2))
        due, self.charged = total - self.charged, total
        return due


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
        self._meters: dict[Kind, Meter] = {}
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
        passed, at, stamp = (now - self._since) // MICROSECOND, now - MICROSECOND, f"{now.timestamp():.3f}"
        self._ledger.append(*[self._charge(kind, running, at, stamp, passed) for kind, running in self._running.items()])
        self._since = now

    def _charge(self, kind: Kind, running: Running, at: datetime, stamp: str, passed: int) -> Charge:
        """It counts in the window it was spent in: `at` is the last instant of the tick."""
        meter = self._meters.get(kind)
        if meter is None:
            meter = self._meters[kind] = Meter(f"{kind.cause.stage}/{kind.cause.job}/{kind.cause.run}/{kind.node_type}/{kind.state}")
        seconds = running.nodes * passed / 1e6
        if meter.usage is None or meter.usage.seconds != seconds:
            meter.usage = Usage(kind.node_type, kind.capacity, seconds, state=kind.state, cluster=self._cluster)
        waste = "idle" if kind.state == "idle" else ""
        return Charge(f"{meter.name}/{stamp}", at, Money(meter.add(running.micros * passed)), kind.cause, meter.usage, None, waste)
