"""LedgerStore: entries in the database. Rows are added and never changed; each key counts once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, func, inspect, select, text, true
from sqlalchemy.exc import SQLAlchemyError

from mlray.database import connect, reading, tables, writing
from mlray.errors import StoreError
from mlray.ledger import book, sums
from mlray.ledger.entry import Asked, Cause, Entry, Reservation
from mlray.ledger.hours import HOUR_US, HOURS
from mlray.ledger.meter import Metered
from mlray.ledger.receipt import Receipt
from mlray.ledger.rows import ENTRIES, GROUPS, NAMED_ITEM, instant, microseconds, to_entry
from mlray.ledger.standing import standing

R = TypeVar("R")
E = ENTRIES.c
Governs = Callable[[Cause], bool]
JOINED = select(ENTRIES, GROUPS).join(GROUPS, GROUPS.c.id == E.grp)


class LedgerStore:
    """The ledger at a SQLAlchemy URL. Every call is one transaction: all of it is on disk when it returns, or none."""

    def __init__(self, url: str) -> None:
        with _translated():
            self._engine = tables(connect(url))
            held = {column["name"] for column in inspect(self._engine).get_columns(ENTRIES.name)}
        if missing := sorted({column.name for column in ENTRIES.columns} - held):
            raise StoreError(
                f"the ledger was written by an earlier mlray: its entries have no {', '.join(missing)}",
                hint="keep that database for its records, and start a new one: another MLRAY_HOME or MLRAY_DATABASE",
            )

    def append(self, *entries: Entry) -> None:
        """Adds entries. One that is there already counts once; another one under the same key raises StoreError."""
        if entries:
            with _translated(), writing(self._engine) as connection:
                book.add(connection, entries)

    def settle(self, items: Iterable[str], due: Callable[[Mapping[str, Metered]], Iterable[Entry]]) -> tuple[Entry, ...]:
        """Appends what `due` answers, which is told how far each item is charged, in one transaction.

        Whoever charges by the clock goes on from there, so that two who do, or one after a restart, charge each second once.
        Where they saw another price or state, the first stands: an entry whose key is there is left out. Answers the others.
        """
        with _translated(), writing(self._engine) as connection:
            entries = book.fresh(connection, tuple(due(_charged(connection, items))))
            book.add(connection, entries)
            return entries

    def entries(
        self, policy: str | None = None, since: datetime | None = None, until: datetime | None = None, nodes: Iterable[str] | None = None
    ) -> tuple[Entry, ...]:
        """Entries with since <= at < until, of one policy or of all, on these nodes or on any, in the order of time."""
        wanted: list[ColumnElement[bool]] = [true()]
        wanted += [GROUPS.c.policy == policy] if policy is not None else []
        wanted += [E.at_us >= microseconds(since)] if since else []
        wanted += [E.at_us < microseconds(until)] if until else []
        some = [true()] if nodes is None else [GROUPS.c.node.in_(found) for found in book.chunks(sorted(set(nodes)))]
        with _translated(), reading(self._engine) as connection:
            queries = (JOINED.where(*wanted, one).order_by(E.at_us, E.key) for one in some)
            found = [to_entry(row) for query in queries for row in connection.execute(query).mappings()]
        return tuple(found if len(some) == 1 else sorted(found, key=lambda entry: (entry.at, entry.key)))

    def sums(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        by: tuple[str, ...] = ("stage", "job", "capacity"),
        where: Mapping[str, str] | None = None,
    ) -> Receipt:
        """The bill of since <= at < until, where all that is asked holds: what `receipt` makes of the same entries.

        Any length of time is answered from the sums of days and hours; only an `item` is looked up among the entries.
        """
        low, high = microseconds(since) if since else None, microseconds(until) if until else None
        with _translated(), reading(self._engine) as connection:
            return sums.bill(connection, low, high, by, dict(where or {}))

    def first(self, since: datetime) -> datetime | None:
        """The hour of the first charge from the hour of an instant on."""
        first = select(func.min(HOURS.c.start)).where(HOURS.c.start >= microseconds(since) // HOUR_US)
        with _translated(), self._engine.connect() as connection:
            found = connection.scalar(first)
        return None if found is None else instant(int(found) * HOUR_US)

    def standing(self, policy: str, since: datetime | tuple[datetime, ...], governs: Governs | None = None) -> tuple[Entry, ...]:
        """What the balance of a policy needs of a window that began at `since`, and little more, however long the ledger grew.

        Open reservations, and charges folded by stage, job, owner, tags and the instants of `since` that lie before them: of
        all runs after the first instant, of the runs of those reservations before it. Only those keep their run.
        """
        with _translated(), reading(self._engine) as connection:
            return standing(connection, Asked(policy, since, governs))

    def charged(self, items: Iterable[str]) -> dict[str, Metered]:
        """How far each item is charged, over all time. Items without a charge are left out."""
        with _translated(), self._engine.connect() as connection:
            return _charged(connection, items)

    def reserve(
        self,
        key: str,
        policy: str,
        since: datetime | tuple[datetime, ...],
        decide: Callable[[tuple[Entry, ...]], Reservation | R],
        governs: Governs | None = None,
    ) -> Reservation | R:
        """Decides and books in one transaction, so that two jobs cannot be given the same dollars.

        `decide` sees what `standing` gives, and answers with the Reservation to book or with anything else, which is
        handed back. A key that is booked already hands back its Reservation: asking twice reserves once.
        """
        return self.reserve_under(key, [Asked(policy, since, governs)], lambda seen: decide(seen[0]))

    def reserve_under(
        self, key: str, asked: Sequence[Asked], decide: Callable[[tuple[tuple[Entry, ...], ...]], Reservation | R]
    ) -> Reservation | R:
        """As `reserve`, under several policies at once: `decide` sees what stands for each; the first is the cause's own."""
        with _translated(), writing(self._engine) as connection:
            booked = connection.execute(JOINED.where(E.key == key)).mappings().first()
            if booked:
                return _reservation(to_entry(booked))
            answer = decide(tuple(standing(connection, one) for one in asked))
            if isinstance(answer, Reservation):
                book.add(connection, (_checked(answer, key, asked[0].policy),))
            return answer


def _charged(connection: Connection, items: Iterable[str]) -> dict[str, Metered]:
    summed = select(E.item, func.max(E.at_us), func.sum(E.seconds_us)).group_by(E.item)
    found: dict[str, Metered] = {}
    for some in book.chunks(sorted(set(items))):
        rows = connection.execute(summed.where(E.kind == "charge", E.item.in_(some), text(NAMED_ITEM))).all()
        found |= {item: Metered(instant(int(at)), int(seconds) / 1e6) for item, at, seconds in rows}
    return found


def _reservation(entry: Entry) -> Reservation:
    if not isinstance(entry, Reservation):
        raise StoreError(f"ledger key {entry.key} is a {type(entry).__name__}, not a reservation", hint="give each event its own key")
    return entry


def _checked(reservation: Reservation, key: str, policy: str) -> Reservation:
    if reservation.key != key or reservation.cause.policy != policy or not reservation.cause.run:
        raise ValueError(f"reservation {reservation.key} needs key {key}, policy {policy} and a run")
    return reservation


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise StoreError(f"the ledger cannot be read or written: {cause}", hint="check MLRAY_DATABASE") from error
