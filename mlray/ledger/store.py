"""LedgerStore: entries in the database. Rows are added and never changed; each key counts once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, and_, case, func, insert, or_, select, true
from sqlalchemy.exc import SQLAlchemyError

from mlray.database import connect, tables, writing
from mlray.errors import StoreError
from mlray.ledger.entry import Cause, Charge, Entry, Reservation, Usage
from mlray.ledger.meter import Metered
from mlray.ledger.rows import ENTRIES, instant, microseconds, to_entry, to_row
from mlray.units import Money

R = TypeVar("R")
E = ENTRIES.c


class LedgerStore:
    """The ledger at a SQLAlchemy URL. Every call is one transaction: all of it is on disk when it returns, or none."""

    def __init__(self, url: str) -> None:
        with _translated():
            self._engine = tables(connect(url))

    def append(self, *entries: Entry) -> None:
        """Adds entries. One that is there already counts once; another one under the same key raises StoreError."""
        with _translated(), writing(self._engine) as connection:
            _add(connection, entries)

    def entries(self, policy: str | None = None, since: datetime | None = None, until: datetime | None = None) -> tuple[Entry, ...]:
        """Entries with since <= at < until, of one policy or of all, in the order of time."""
        wanted: list[ColumnElement[bool]] = [true()]
        wanted += [E.policy == policy] if policy is not None else []
        wanted += [E.at_us >= microseconds(since)] if since else []
        wanted += [E.at_us < microseconds(until)] if until else []
        with _translated(), self._engine.connect() as connection:
            rows = connection.execute(select(ENTRIES).where(*wanted).order_by(E.at_us, E.key)).mappings()
            return tuple(map(to_entry, rows))

    def standing(self, policy: str, since: datetime) -> tuple[Entry, ...]:
        """What a balance needs of a window that began at `since`, and little more, however long the ledger grew.

        Open reservations, and the charges of each run folded into one Charge: in the window for all runs, before it
        for the runs of those reservations.
        """
        with _translated(), self._engine.connect() as connection:
            return _standing(connection, policy, since)

    def charged(self, items: Iterable[str]) -> dict[str, Metered]:
        """How far each item is charged, over all time. Items without a charge are left out."""
        sums = select(E.item, func.max(E.at_us), func.sum(E.seconds)).group_by(E.item)
        with _translated(), self._engine.connect() as connection:
            rows = connection.execute(sums.where(E.kind == "charge", E.item.in_(list(items)))).all()
            return {item: Metered(instant(int(at)), float(seconds)) for item, at, seconds in rows}

    def reserve(self, key: str, policy: str, since: datetime, decide: Callable[[tuple[Entry, ...]], Reservation | R]) -> Reservation | R:
        """Decides and books in one transaction, so that two jobs cannot be given the same dollars.

        `decide` sees what `standing` gives, and answers with the Reservation to book or with anything else, which is
        handed back. A key that is booked already hands back its Reservation: asking twice reserves once.
        """
        with _translated(), writing(self._engine) as connection:
            booked = connection.execute(select(ENTRIES).where(E.key == key)).mappings().first()
            if booked:
                return _reservation(to_entry(booked))
            answer = decide(_standing(connection, policy, since))
            if isinstance(answer, Reservation):
                _add(connection, (_checked(answer, key, policy),))
            return answer


def _add(connection: Connection, entries: tuple[Entry, ...]) -> None:
    for row in map(to_row, entries):
        there = connection.execute(select(ENTRIES).where(E.key == row["key"])).mappings().first()
        if there is None:
            connection.execute(insert(ENTRIES).values(row))
        elif dict(there) != row:
            changed = ", ".join(f"{name} {there[name]!r} -> {row[name]!r}" for name in row if there[name] != row[name])
            raise StoreError(
                f"ledger key {row['key']} stands for another event: {changed}",
                hint="entries are never changed; give each event its own key",
            )


def _standing(connection: Connection, policy: str, since: datetime) -> tuple[Entry, ...]:
    closed = select(E.reservation).where(E.kind == "return", E.policy == policy)
    is_open = and_(E.kind == "reservation", E.policy == policy, E.key.not_in(closed))
    rows = connection.execute(select(ENTRIES).where(is_open)).mappings().all()
    runs = [str(row["run"]) for row in rows]
    inside = case((E.at_us >= microseconds(since), 1), else_=0).label("inside")
    names = (E.stage, E.job, E.run, inside)
    sums = select(*names, func.max(E.at_us), func.sum(E.micros), func.sum(E.seconds)).group_by(*names)
    counted = and_(E.kind == "charge", E.policy == policy, or_(E.at_us >= microseconds(since), E.run.in_(runs)))
    folded = connection.execute(sums.where(counted).order_by(*names)).all()
    return (*map(to_entry, rows), *(_folded(policy, *row) for row in folded))


def _folded(policy: str, stage: str, job: str, run: str, inside: int, at: int, micros: int, seconds: float) -> Charge:
    cause = Cause(stage, job, policy, run)
    return Charge(f"sum/{stage}/{job}/{run}/{inside}", instant(int(at)), Money(int(micros)), cause, Usage("", "", float(seconds)))


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
