"""Book: a ledger held in memory, for the length of a replay. It answers as the one in the database does."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from mlray.errors import StoreError
from mlray.ledger.entry import Asked, Cause, Charge, Entry, Reservation, Usage
from mlray.ledger.meter import Metered
from mlray.units import Money

Governs = Callable[[Cause], bool]
EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
# Keys of charges that are remembered, so that one booked twice counts once. A replay books in the order of time; a key that is
# older than so many charges does not come again, and remembering all of them would take a gigabyte at ticks of 5 s.
MOST_KEYS = 100_000


class Line(NamedTuple):
    """What the charges of one kind sum to: `node_s` seconds of nodes, and micro-dollars."""

    stage: str
    job: str
    run: str
    capacity: str
    state: str
    node_s: float
    micros: int


@dataclass(slots=True)
class Account:
    """The charges of one cause, items aside: their instants in order (microseconds), and running sums of money and seconds, from 0 on."""

    cause: Cause
    at: array[int] = field(default_factory=lambda: array("q"))
    micros: array[int] = field(default_factory=lambda: array("q", [0]))
    seconds: array[float] = field(default_factory=lambda: array("d", [0.0]))

    def add(self, at: int, micros: int, seconds: float) -> None:
        """A charge for earlier than the last one, which is rare, moves all sums after it."""
        place = len(self.at) if not self.at or at > self.at[-1] else bisect_right(self.at, at)
        if not place or self.at[place - 1] != at:
            self.at.insert(place, at)
            place += 1
            self.micros.insert(place, self.micros[place - 1])
            self.seconds.insert(place, self.seconds[place - 1])
        for i in range(place, len(self.micros)):
            self.micros[i] += micros
            self.seconds[i] += seconds

    def folded(self, first: int, last: int) -> Charge:
        """The charges first <= i < last as one."""
        usage = Usage("", "", self.seconds[last] - self.seconds[first])
        at = EPOCH + timedelta(microseconds=self.at[last - 1])
        return Charge(f"sum/{first}/{last}", at, Money(self.micros[last] - self.micros[first]), self.cause, usage)


class Book:
    """Charges are summed as they come, so that a balance costs the same however long the replay is."""

    def __init__(self) -> None:
        self._known: dict[str, Entry] = {}
        self._accounts: dict[Cause, Account] = {}
        self._open: dict[str, Reservation] = {}
        self._charged: dict[str, Metered] = {}
        self._counted: dict[str, tuple[int, list[Account]]] = {}
        self._sums: dict[tuple[Cause, str, str], list[float]] = {}

    def append(self, *entries: Entry) -> None:
        """Adds entries. One that is there already counts once; another one under the same key raises StoreError."""
        for entry in entries:
            there = self._known.get(entry.key)
            if there is not None:
                if there != entry:
                    raise StoreError(f"ledger key {entry.key} stands for another event", hint="give each event its own key")
                continue
            self._known[entry.key] = entry
            if isinstance(entry, Charge):
                self._charge(entry)
            elif isinstance(entry, Reservation):
                self._open[entry.key] = entry
            else:
                self._open.pop(entry.reservation, None)
        if len(self._known) > 2 * MOST_KEYS:
            late = set(list(self._known)[MOST_KEYS:])
            self._known = {key: entry for key, entry in self._known.items() if key in late or not isinstance(entry, Charge)}

    def settle(self, items: Iterable[str], due: Callable[[Mapping[str, Metered]], Iterable[Entry]]) -> tuple[Entry, ...]:
        """Appends what `due` answers, which is told how far each item is charged."""
        entries = tuple(due(self.charged(items)))
        self.append(*entries)
        return entries

    def charged(self, items: Iterable[str]) -> dict[str, Metered]:
        """How far each item is charged, over all time. Items without a charge are left out."""
        return {item: found for item in items if item and (found := self._charged.get(item))}

    def entries(
        self,
        policy: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        nodes: Iterable[str] | None = None,
    ) -> tuple[Entry, ...]:
        """The newest entries with since <= at < until, of one policy or of all, on these nodes or on any, in the order of time."""
        on = None if nodes is None else set(nodes)
        found = [
            entry
            for entry in self._known.values()
            if (policy is None or entry.cause.policy == policy)
            and (since is None or entry.at >= since)
            and (until is None or entry.at < until)
            and (on is None or (isinstance(entry, Charge) and entry.usage.node in on))
        ]
        return tuple(sorted(found, key=lambda entry: (entry.at, entry.key)))

    def standing(self, policy: str, since: datetime | tuple[datetime, ...], governs: Governs | None = None) -> tuple[Entry, ...]:
        """Open reservations, and charges folded by cause and by the instants of `since` that lie before them."""
        asked = Asked(policy, since, governs)
        held = tuple(r for r in self._open.values() if asked.counts(r.cause))
        runs = {(r.cause.run, r.cause.job, r.cause.stage) for r in held}
        cuts = [_instant(cut) for cut in asked.cuts]
        out: list[Entry] = list(held)
        for account in self._counting(asked):
            edges = [bisect_left(account.at, cut) for cut in cuts]
            mine = (account.cause.run, account.cause.job, account.cause.stage) in runs
            for first, last in pairwise([*([0] if mine else []), *edges, len(account.at)]):
                if last > first:
                    out.append(account.folded(first, last))
        return tuple(out)

    def lines(self) -> tuple[Line, ...]:
        """All charges, summed by kind, in the order of names."""
        kinds = ((cause.stage, cause.job, cause.run, str(capacity), state) for cause, capacity, state in self._sums)
        return tuple(sorted(Line(*kind, node_s, int(micros)) for kind, (node_s, micros) in zip(kinds, self._sums.values(), strict=True)))

    def _charge(self, charge: Charge) -> None:
        cause = replace(charge.cause, item="") if charge.cause.item else charge.cause
        account = self._accounts.get(cause)
        if account is None:
            account = self._accounts[cause] = Account(cause)
        account.add(_instant(charge.at), charge.amount.micros, charge.usage.seconds)
        usage = charge.usage
        line = self._sums.get((cause, usage.capacity, usage.state))
        if line is None:
            line = self._sums[cause, usage.capacity, usage.state] = [0.0, 0]
        line[0] += usage.seconds * usage.share
        line[1] += charge.amount.micros
        if item := charge.cause.item:
            before = self._charged.get(item)
            until, seconds = (max(charge.at, before.until), before.seconds) if before else (charge.at, 0.0)
            self._charged[item] = Metered(until, seconds + charge.usage.seconds)

    def _counting(self, asked: Asked) -> list[Account]:
        """The accounts that count for a policy; found anew only when there are new ones, for in a replay no policy changes."""
        known = self._counted.get(asked.policy)
        if known is None or known[0] != len(self._accounts):
            known = self._counted[asked.policy] = (len(self._accounts), [a for a in self._accounts.values() if asked.counts(a.cause)])
        return known[1]


def _instant(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND
