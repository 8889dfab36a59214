"""Nodes: what a node costs while it lives, whoever works on it: starting, draining, idle.

Double entry. A node is charged whole, second by second, to its cluster; and each charge of work on it is taken out of that
again (`relief`). So the charges of a node and of all work on it sum to the integral of its price over its life, to the
micro-dollar, however late the work is charged and whatever share it claimed. What is left on the cluster is what no work paid
for. It is below zero where work was charged for more than the node cost, and then says so.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from mlray.ledger.entry import Cause, Charge, Usage
from mlray.units import Money, Price

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
HOUR_US = 3600 * 10**6
SLICE_S = 60.0
STATES = ("starting", "running", "draining")


@dataclass(frozen=True, slots=True)
class NodeLife:
    """One node as far as it is known. `cause` has stage "cluster" and the cluster's name as job.

    `prices` are rising instants and the price from each on; the first holds before it as well, and None is a price nobody
    knows: that time is not charged. `states` are rising instants and what the node does from each on (one of STATES); before
    the first it runs. The running time of a head serves the cluster; that of any other node without work is idle.
    """

    node: str
    node_type: str
    capacity: str
    prices: tuple[tuple[datetime, Price | None], ...]
    begun: datetime
    cause: Cause
    ended: datetime | None = None
    states: tuple[tuple[datetime, str], ...] = ()
    cluster: str = ""
    head: bool = False
    on_demand: Price | None = None

    @property
    def item(self) -> str:
        """What the node's own time is called in the ledger: how far it is charged is asked under this name."""
        return f"node:{self.node}"

    def price(self, at: datetime) -> Price | None:
        return self.prices[max(0, bisect_right(self.prices, at, key=lambda change: change[0]) - 1)][1]

    def state(self, at: datetime) -> str:
        """What the node's time costs for at an instant: starting, draining, idle, or running for a head."""
        place = bisect_right(self.states, at, key=lambda change: change[0])
        found = self.states[place - 1][1] if place else "running"
        return "idle" if found == "running" and not self.head else found


def node_charges(life: NodeLife, since: datetime | None, until: datetime, slice_s: float = SLICE_S) -> tuple[Charge, ...]:
    """What the node owes from `since` (None: from its begin) to `until`, or to its end: whole slices only.

    Slices end at multiples of `slice_s` since 1970, which divides an hour, where the price or the state changes, and at the
    node's end: so keys and amounts do not depend on when one looks, as long as what is known of the time before `until` no
    longer changes. `at` is the last microsecond of a slice, so that it counts in the hour and the window it was spent in.
    """
    if 3600 % slice_s:
        raise ValueError(f"a slice of {slice_s} s does not divide an hour")
    start = life.begun if since is None else max(since, life.begun)
    cuts = _cuts(life, start, until, round(slice_s * 1e6))
    charges = (_slice(life, begin, end) for begin, end in pairwise([start, *cuts]))
    return tuple(charge for charge in charges if charge is not None)


def charged_to(at: datetime) -> datetime:
    """Where the next slice begins, from the instant of the newest charge of a node."""
    return at + MICROSECOND


def relief(charges: Iterable[Charge], lives: Mapping[str, NodeLife]) -> tuple[Charge, ...]:
    """Takes work on known nodes out of what their clusters pay. Each charge of work is relieved once, by its key.

    It is taken from what the node did for most of the time that was worked.
    """
    work = (charge for charge in charges if charge.cause.stage != "cluster" and charge.usage.node in lives)
    return tuple(_relieved(charge, lives[charge.usage.node]) for charge in work)


def _cuts(life: NodeLife, start: datetime, until: datetime, slice_us: int) -> list[datetime]:
    """Every instant after `start` at which a slice ends and that has come."""
    last = until if life.ended is None else min(until, life.ended)
    first, final = (start - EPOCH) // MICROSECOND // slice_us + 1, (last - EPOCH) // MICROSECOND // slice_us
    fixed = (EPOCH + number * slice_us * MICROSECOND for number in range(first, final + 1))
    changes = (at for at, _ in (*life.prices, *life.states))
    ends = (life.ended,) if life.ended is not None else ()
    return sorted({at for at in (*fixed, *changes, *ends) if start < at <= last})


def _slice(life: NodeLife, begin: datetime, end: datetime) -> Charge | None:
    if life.price(begin) is None:
        return None
    state, seconds = life.state(begin), (end - begin) / timedelta(seconds=1)
    amount = _total(life, life.prices, end) - _total(life, life.prices, begin)
    listed = None
    if life.on_demand:
        always = ((life.begun, life.on_demand),)
        listed = _total(life, always, end) - _total(life, always, begin)
    usage = Usage(life.node_type, life.capacity, seconds, 1.0, life.node, state, life.cluster)
    key = f"{life.item}/{(begin - EPOCH) // MICROSECOND}"
    waste = "idle" if state == "idle" else ""
    return Charge(key, end - MICROSECOND, amount, replace(life.cause, item=life.item), usage, listed, waste)


def _total(life: NodeLife, prices: tuple[tuple[datetime, Price | None], ...], until: datetime) -> Money:
    """The integral of the price from the node's begin, rounded half-even: slices are differences of it, so they lose nothing."""
    edges = [life.begun, *(min(max(at, life.begun), until) for at, _ in prices[1:]), until]
    rates = [price.per_hour.micros if price else 0 for _, price in prices]
    exact = sum(rate * ((end - begin) // MICROSECOND) for rate, (begin, end) in zip(rates, pairwise(edges), strict=True))
    whole, rest = divmod(exact, HOUR_US)
    return Money(whole + (2 * rest > HOUR_US or (2 * rest == HOUR_US and whole % 2)))


def _relieved(work: Charge, life: NodeLife) -> Charge:
    state = _longest(life, work.at - timedelta(seconds=work.usage.seconds), work.at)
    usage = Usage(life.node_type, life.capacity, -work.usage.seconds, work.usage.share, life.node, state, life.cluster)
    listed = None if work.list_amount is None else -work.list_amount
    cause = replace(life.cause, item=f"{life.item}/work")
    return Charge(f"{work.key}/relief", work.at, -work.amount, cause, usage, listed, "idle" if state == "idle" else "")


def _longest(life: NodeLife, begin: datetime, end: datetime) -> str:
    """What the node did for most of a time. One state for one charge: two that were found differently could not be told apart."""
    edges = sorted({begin, end, *(at for at, _ in life.states if begin < at < end)})
    lasted: dict[str, timedelta] = {}
    for start, stop in pairwise(edges):
        lasted[life.state(start)] = lasted.get(life.state(start), timedelta(0)) + (stop - start)
    return max(lasted, key=lambda state: lasted[state], default=life.state(end))
