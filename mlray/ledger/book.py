"""Book: entries into the tables, inside a transaction of the store: each key once, and the sums with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection, delete, insert, select, text

from mlray.errors import StoreError
from mlray.ledger import hours
from mlray.ledger.entry import Entry, Reservation, Return
from mlray.ledger.rows import ENTRIES, GROUPS, NAMES, OPEN, RETURNED, Group, Value, group, microseconds, number, to_row

T = TypeVar("T")
# A statement's parameters at a time; SQLite takes at most 32,766 and PostgreSQL 65,535.
AT_ONCE = 5000


def add(connection: Connection, entries: Sequence[Entry]) -> None:
    """Raises StoreError, and then nothing of it may be committed, where a key stands for another event."""
    given: dict[str, tuple[dict[str, Value], Entry]] = {}
    for entry in entries:
        row = to_row(entry)
        if entry.key in given:
            _same(given[entry.key][0], row, given[entry.key][1], entry)
        given.setdefault(entry.key, (row, entry))
    new = _missing(connection, given)
    if not new:
        return
    _groups(connection, {number(found): found for _, entry in new for found in (group(entry),)})
    connection.execute(insert(ENTRIES), [row for row, _ in new])
    hours.add(connection, [row for row, _ in new])
    _open(connection, [entry for _, entry in new])


def fresh(connection: Connection, entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Those whose key is not there yet, whatever stands under the others."""
    there: set[str] = set()
    for some in chunks([entry.key for entry in entries]):
        there |= set(connection.scalars(select(ENTRIES.c.key).where(ENTRIES.c.key.in_(some))))
    return tuple({entry.key: entry for entry in reversed(entries) if entry.key not in there}.values())[::-1]


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))


def _missing(connection: Connection, given: Mapping[str, tuple[dict[str, Value], Entry]]) -> list[tuple[dict[str, Value], Entry]]:
    there: set[str] = set()
    for some in chunks(list(given)):
        for held in connection.execute(select(ENTRIES).where(ENTRIES.c.key.in_(some))).mappings():
            row, entry = given[held["key"]]
            if dict(held) != row:
                before = connection.execute(select(GROUPS).where(GROUPS.c.id == held["grp"])).mappings().one()
                _refuse(dict(held) | {name: before[name] for name in NAMES}, row, entry)
            there.add(held["key"])
    return [given[key] for key in given if key not in there]


def _same(before: Mapping[str, Value], row: Mapping[str, Value], first: Entry, entry: Entry) -> None:
    if before != row:
        _refuse({**before, **dict(zip(NAMES, group(first), strict=True))}, row, entry)


def _refuse(before: Mapping[str, Value], row: Mapping[str, Value], entry: Entry) -> None:
    after = {**row, **dict(zip(NAMES, group(entry), strict=True))}
    changed = ", ".join(f"{n} {before[n]!r} -> {after[n]!r}" for n in after if n != "grp" and before[n] != after[n])
    raise StoreError(
        f"ledger key {entry.key} stands for another event: {changed}",
        hint="entries are never changed; give each event its own key",
    )


def _groups(connection: Connection, wanted: Mapping[int, Group]) -> None:
    held: dict[int, Group] = {}
    for some in chunks(list(wanted)):
        rows = connection.execute(select(GROUPS.c.id, *(GROUPS.c[name] for name in NAMES)).where(GROUPS.c.id.in_(some)))
        held |= {row[0]: tuple(row[1:]) for row in rows}
    if clash := [found for found, values in held.items() if wanted[found] != values]:
        raise StoreError(f"two groups of ledger entries have the number {clash[0]}", hint="change the name of the job or of its run")
    if new := [{"id": found, **dict(zip(NAMES, wanted[found], strict=True))} for found in wanted if found not in held]:
        connection.execute(insert(GROUPS), new)


def _open(connection: Connection, new: Sequence[Entry]) -> None:
    """A reservation is open until its return; the return may have come first."""
    begun = {entry.key: entry.until for entry in new if isinstance(entry, Reservation)}
    ended = [entry.reservation for entry in new if isinstance(entry, Return)]
    for some in chunks(list(begun)):
        over = set(connection.scalars(select(ENTRIES.c.reservation).where(ENTRIES.c.reservation.in_(some), text(RETURNED))))
        untils = {key: begun[key] for key in some if key not in over}
        if opened := [{"key": key, "until_us": until and microseconds(until)} for key, until in untils.items()]:
            connection.execute(insert(OPEN), opened)
    for some in chunks(ended):
        connection.execute(delete(OPEN).where(OPEN.c.key.in_(some)))
