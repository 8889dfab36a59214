"""Hours and days: the sums of the charges of each group, kept in the transaction that appends them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import BigInteger, Column, ColumnElement, Connection, Index, Select, Table, case, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from mlray.database import CATALOGUE
from mlray.ledger.rows import ENTRIES, Value

HOUR_US = 3600 * 10**6
DAY_US = 24 * HOUR_US
# Before the first and after the last instant a ledger may hold; both are midnights.
BEGIN, END = -(10**6) * DAY_US, 10**7 * DAY_US
MEASURES = ("charges", "micros", "list_micros", "listed_micros", "listed", "seconds_us", "node_us", "nanos")


def _sums(name: str, *indices: Index) -> Table:
    columns = (Column(measure, BigInteger, nullable=False) for measure in (*MEASURES, "last_us"))
    keys = (Column(key, BigInteger, primary_key=True, autoincrement=False) for key in ("start", "grp"))
    return Table(name, CATALOGUE, *keys, *columns, *indices, sqlite_with_rowid=False)


# `start` counts hours or days since 1970 UTC. Days answer for months, hours for the rest of a day.
HOURS = _sums("ledger_hours")
DAYS = _sums("ledger_days", Index("ledger_days_grp", "grp", "start"))
GRAINS = ((DAYS, DAY_US), (HOURS, HOUR_US))


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a span of time that one table answers for: low <= start < high, in that table's unit."""

    grain: Literal["days", "hours", "moments"]
    low: int
    high: int


def pieces(low: int, high: int, days: bool = True, hours: bool = True) -> tuple[Piece, ...]:
    """A span in microseconds, cut into whole days where there are any, whole hours beside them, and the rest."""
    for grain, unit, wanted in (("days", DAY_US, days), ("hours", HOUR_US, hours)):
        first, last = -(-low // unit), high // unit
        if wanted and first < last:
            sides = (
                *pieces(low, first * unit, False, hours and grain == "days"),
                *pieces(last * unit, high, False, hours and grain == "days"),
            )
            return (Piece("days" if grain == "days" else "hours", first, last), *sides)
    return (Piece("moments", low, high),) if low < high else ()


def lines(piece: Piece) -> Select[Any]:
    """The rows of a piece with one set of columns: grp, hour (since 1970), the measures, last_us."""
    if piece.grain == "moments":
        e = ENTRIES.c
        listed = case((e.list_micros.is_(None), 0), else_=1)
        measures: tuple[ColumnElement[Any], ...] = (literal(1), e.micros, func.coalesce(e.list_micros, 0), e.micros * listed, listed)
        named = zip((*MEASURES, "last_us"), (*measures, e.seconds_us, e.node_us, e.nanos, e.at_us), strict=True)
        columns = [column.label(name) for name, column in named]
        moments = select(e.grp, (e.at_us // HOUR_US).label("hour"), *columns)
        return moments.where(e.kind == "charge", e.at_us >= piece.low, e.at_us < piece.high)
    table = DAYS if piece.grain == "days" else HOURS
    hour = table.c.start * 24 if table is DAYS else table.c.start
    sums = select(table.c.grp, hour.label("hour"), *(table.c[name] for name in (*MEASURES, "last_us")))
    return sums.where(table.c.start >= piece.low, table.c.start < piece.high)


def add(connection: Connection, rows: Iterable[Mapping[str, Value]]) -> None:
    """Adds rows of ENTRIES, just inserted in this transaction, to the sums of their hour and day."""
    charges = [row for row in rows if row["kind"] == "charge"]
    for table, unit in GRAINS:
        if folded := _folded(charges, unit):
            connection.execute(_upsert(connection, table), folded)


def _folded(charges: Iterable[Mapping[str, Any]], unit: int) -> list[dict[str, int]]:
    sums: dict[tuple[int, int], list[int]] = {}
    for row in charges:
        listed, micros = row["list_micros"], row["micros"]
        one = (
            1,
            micros,
            listed or 0,
            micros if listed is not None else 0,
            listed is not None,
            row["seconds_us"],
            row["node_us"],
            row["nanos"],
        )
        total = sums.setdefault((row["at_us"] // unit, row["grp"]), [0] * len(MEASURES) + [row["at_us"]])
        for place, value in enumerate(one):
            total[place] += value
        total[-1] = max(total[-1], row["at_us"])
    # In the order of the keys, so that neighbours are written together.
    return [dict(zip(("start", "grp", *MEASURES, "last_us"), (*key, *sums[key]), strict=True)) for key in sorted(sums)]


def _upsert(connection: Connection, table: Table) -> Any:
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    new = insert(table)
    later = case((new.excluded.last_us > table.c.last_us, new.excluded.last_us), else_=table.c.last_us)
    summed = {name: table.c[name] + new.excluded[name] for name in MEASURES}
    return new.on_conflict_do_update(index_elements=["start", "grp"], set_={**summed, "last_us": later})
