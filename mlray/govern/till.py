"""Till: charges replicas to the ledger, each second once and at its price, and knows what is owed and not yet booked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from mlray.errors import StoreError
from mlray.govern.metering import Lived, began, due
from mlray.govern.remember import CLOSED, LOOKED, REPLICA, Remembering, parts, replica_of, replica_text
from mlray.govern.snapshot import NodeSeen, Replica
from mlray.ledger.entry import Cause, Entry
from mlray.ledger.meter import Metered
from mlray.market.offer import Offer, on_demand
from mlray.units import Money

# A replica is charged in slices of at least this length while it lives, and to its end when it is gone.
SLICE_S = 15.0
NEVER = timedelta(days=36500)
# What nodes owe stands beside what deployments do, under this and the cluster's name.
CLUSTERS = "cluster/"


class Booking(Protocol):
    """What the till needs of a ledger."""

    def append(self, *entries: Entry) -> None: ...

    def charged(self, items: Iterable[str]) -> dict[str, Metered]: ...


@dataclass(frozen=True, slots=True)
class Group:
    """The replicas of one deployment at a look, all for one cause."""

    name: str
    cause: Cause
    replicas: tuple[Replica, ...]


class Charging(Protocol):
    """What the governor needs of a till: it books what is seen, and says what is not booked yet."""

    def charge(self, groups: Sequence[Group], offers: tuple[Offer, ...], now: datetime, all_of_it: bool = False) -> None: ...

    def nodes(
        self, nodes: tuple[NodeSeen, ...], causes: Mapping[str, Cause], offers: tuple[Offer, ...], now: datetime, all_of_it: bool = False
    ) -> None: ...

    def owed(self, now: datetime) -> Mapping[str, Money]: ...


@dataclass(slots=True)
class Tab:
    """What one deployment owes: nothing is walked again until `due_at`, while the same replicas stand at the same prices."""

    group: Group
    lived: dict[str, Lived]
    seen: datetime
    due_at: datetime
    rate: float = 0.0
    owed_from: float = 0.0
    placed: bool = False


class Till:
    """Charges replicas. What was seen is remembered where the next governor finds it; the ledger knows what is charged."""

    def __init__(self, ledger: Booking, memory: Remembering, slice_s: float = SLICE_S) -> None:
        self._ledger, self._memory, self._slice_s = ledger, memory, slice_s
        self._metered: dict[str, Metered | None] = {}
        self._unsaid: dict[str, str] = {}
        self._zero: datetime | None = None
        self._worked = 0
        texts = memory.remembered()
        self._tabs = _tabs(texts)
        self._closed = [replica_of(text, datetime.fromisoformat(texts[LOOKED]))[1] for text in parts(texts, CLOSED)]

    def charge(self, groups: Sequence[Group], offers: tuple[Offer, ...], now: datetime, all_of_it: bool = False) -> None:
        """Books what is due. What cannot be booked now stays owed; what is gone is charged to when it was last seen."""
        self._zero = self._zero or now
        changed = [group for group in groups if all_of_it or self._touched(group, now)]
        for name in self._tabs.keys() - {group.name for group in groups}:
            self._close_all(self._tabs.pop(name))
        for group in changed:
            self._open(group, offers, now)
        self._remember(now)
        if changed or self._closed:
            self._book([self._tabs[group.name] for group in changed], now, 0.0 if all_of_it else self._slice_s)

    def owed(self, now: datetime) -> dict[str, Money]:
        """What has run up since the last booked slice, by deployment."""
        at = (now - (self._zero or now)).total_seconds()
        return {name: Money(max(0, int((tab.rate * at - tab.owed_from) / 3600))) for name, tab in self._tabs.items() if tab.rate}

    def worked(self, now: datetime) -> Money:
        """What work on known nodes cost since `relieved` was called, booked or not."""
        owed = self.owed(now)
        return Money(self._worked + sum(owed[name].micros for name, tab in self._tabs.items() if tab.placed and name in owed))

    def relieved(self) -> None:
        """What is booked was taken out of what its nodes cost."""
        self._worked = 0

    def _touched(self, group: Group, now: datetime) -> bool:
        tab = self._tabs.get(group.name)
        if tab is None or tab.group.replicas is not group.replicas or tab.group.cause != group.cause or now >= tab.due_at:
            return True
        tab.seen = now
        return False

    def _open(self, group: Group, offers: tuple[Offer, ...], now: datetime) -> None:
        """Closes what is gone, and what goes on at another price or for another cause."""
        before = self._tabs.get(group.name)
        fresh = {
            one.item: one for r in group.replicas for one in [Lived(r, group.cause, now, on_demand(r.offer, offers) if r.offer else None)]
        }
        old = before.lived if before else {}
        for item, one in old.items():
            if item not in fresh:
                self._close(group.name, replace(one, until=before.seen if before else now))
            elif _moved(one, fresh[item]):
                self._close(group.name, replace(one, until=now))
        for item, one in fresh.items():
            if item not in old or _moved(old[item], one) or old[item].replica.offer is None:
                self._unsaid[REPLICA + item] = replica_text(group.name, one)
        self._tabs[group.name] = Tab(group, fresh, now, now)

    def _close_all(self, tab: Tab) -> None:
        for one in tab.lived.values():
            self._close(tab.group.name, replace(one, until=tab.seen))

    def _close(self, group: str, one: Lived) -> None:
        """It owes to this instant and no longer, whoever books it."""
        self._closed.append(one)
        self._unsaid |= {_closed(one): replica_text(group, one, closed=True), REPLICA + one.item: ""}

    def _book(self, tabs: list[Tab], now: datetime, shortest_s: float) -> None:
        living = [one for tab in tabs for one in tab.lived.values()]
        try:
            known = self._known([*self._closed, *living])
            charges = due(self._closed, known, 0.0) + due(living, known, shortest_s)
            if charges:
                self._ledger.append(*charges)
                self._worked += sum(charge.amount.micros for charge in charges if charge.usage.node)
        except StoreError:
            self._metered.clear()  # the ledger may know better
            return
        self._metered |= known
        self._forget()
        for tab in tabs:
            self._settle(tab, known, now)

    def _forget(self) -> None:
        """What is closed and booked."""
        living = {item for tab in self._tabs.values() for item in tab.lived} if self._closed else set()
        for one in self._closed:
            self._unsaid[_closed(one)] = ""
            if one.item not in living:
                self._metered.pop(one.item, None)
        self._closed.clear()

    def _known(self, lived: Iterable[Lived]) -> dict[str, Metered]:
        items = [one.item for one in lived]
        new = list(dict.fromkeys(item for item in items if item not in self._metered))
        found = self._ledger.charged(new) if new else {}
        self._metered |= {item: found.get(item) for item in new}
        return {item: metered for item in items if (metered := self._metered[item])}

    def _settle(self, tab: Tab, known: Mapping[str, Metered], now: datetime) -> None:
        """When the tab must be walked again, and how fast it grows meanwhile."""
        zero = self._zero or now
        starts = [(one.rate, began(one, known)) for one in tab.lived.values() if one.replica.offer is not None]
        tab.due_at = min((start for _, start in starts), default=now + NEVER) + timedelta(seconds=self._slice_s)
        tab.rate = sum(rate for rate, _ in starts)
        tab.placed = all(one.replica.node for one in tab.lived.values())
        tab.owed_from = sum(rate * (start - zero).total_seconds() for rate, start in starts)

    def _remember(self, now: datetime) -> None:
        """The instant is that of the last look at all there is: what is gone at the next one lived until now."""
        try:
            self._memory.remember({**self._unsaid, LOOKED: now.isoformat()})
            self._unsaid = {}
        except StoreError:
            return


def _tabs(texts: Mapping[str, str]) -> dict[str, Tab]:
    """What the governor before left."""
    if LOOKED not in texts:
        return {}
    looked = datetime.fromisoformat(texts[LOOKED])
    tabs: dict[str, Tab] = {}
    for text in parts(texts, REPLICA):
        name, lived = replica_of(text, looked)
        tab = tabs.setdefault(name, Tab(Group(name, lived.cause, ()), {}, looked, looked))
        tab.lived[lived.item] = lived
    return tabs


def _closed(one: Lived) -> str:
    return f"{CLOSED}{one.item}/{one.until.isoformat()}"


def _moved(old: Lived, new: Lived) -> bool:
    """A price that was not known yet is taken from the start on; one that was known holds until the next is seen."""
    before, after = old.replica.offer, new.replica.offer
    if before is None:
        return False
    return after is None or before.price != after.price or before.node_type != after.node_type or old.cause != new.cause
