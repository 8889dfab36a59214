"""Sums: the bill of any span of time, from the sums of days and hours and, at its two ends, from the entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, case, func, select, union_all

from mlray.ledger.hours import BEGIN, END, MEASURES, Piece, lines, pieces
from mlray.ledger.receipt import GROUPS as NAMED
from mlray.ledger.receipt import Receipt, Row, summed
from mlray.ledger.rows import ENTRIES, EPOCH, GROUPS, tags_of
from mlray.units import Money

G = GROUPS.c
COLUMNS = {name: name.replace("-", "_") for name in NAMED if name not in ("day", "hour", "item")}


def bill(connection: Connection, low: int | None, high: int | None, by: tuple[str, ...], where: Mapping[str, str]) -> Receipt:
    """`low` and `high` are microseconds since 1970, None for no bound."""
    asked = tuple(dict.fromkeys((*by, *where)))
    names = [name for name in asked if name in NAMED]
    if len(names) < len(asked) and "tags" not in names:
        names.append("tags")  # which hold what is no column
    parts = _parts(BEGIN if low is None else low, END if high is None else high, asked)
    found = connection.execute(_query(parts, names, where)).mappings()
    rows = ((_values(row, asked), row) for row in map(dict[str, Any], found) if row["sum_charges"])
    kept = (_row(tuple(values[name] for name in by), row) for values, row in rows if all(values[n] == v for n, v in where.items()))
    return summed(by, kept)


def _parts(low: int, high: int, asked: tuple[str, ...]) -> tuple[Piece, ...]:
    """Items are known to entries alone, and hours not to the sums of days."""
    if "item" in asked:
        return (Piece("moments", low, high),) if low < high else ()
    return pieces(low, high, days="hour" not in asked)


def _query(parts: tuple[Piece, ...], names: Sequence[str], where: Mapping[str, str]) -> Any:
    """Grouped by the named columns. What is a text only later, as a day or a tag is, is chosen later."""
    every = union_all(*(_line(piece, "item" in names) for piece in parts or (Piece("moments", 0, 0),))).subquery()
    columns = {name: _column(name, every.c) for name in names}
    totals = [func.sum(every.c[name]).label(f"sum_{name}") for name in MEASURES]
    wasted = [func.sum(case((G.waste == kind, every.c.micros), else_=0)).label(kind) for kind in ("lost", "idle")]
    query = select(*(column.label(f"by_{name}") for name, column in columns.items()), *totals, *wasted)
    wanted = [columns[name] == value for name, value in where.items() if name in COLUMNS or name == "item"]
    return query.select_from(every).join(GROUPS, G.id == every.c.grp).where(*wanted).group_by(*columns.values())


def _column(name: str, line: Any) -> Any:
    if name in COLUMNS:
        return G[COLUMNS[name]]
    return line.hour // 24 if name == "day" else line[name]


def _line(piece: Piece, items: bool) -> Any:
    return lines(piece).add_columns(ENTRIES.c.item) if items else lines(piece)


def _values(row: Mapping[str, Any], asked: tuple[str, ...]) -> dict[str, str]:
    tags = dict(tags_of(row["by_tags"])) if "by_tags" in row else {}
    return {name: _text(name, row[f"by_{name}"]) if name in NAMED else tags.get(name, "") for name in asked}


def _text(name: str, value: Any) -> str:
    if name == "hour":
        return f"{EPOCH + timedelta(hours=int(value)):%Y-%m-%dT%H:00Z}"
    return f"{EPOCH + timedelta(days=int(value)):%Y-%m-%d}" if name == "day" else str(value)


def _row(group: tuple[str, ...], row: Mapping[str, Any]) -> Row:
    one = {name: int(row[f"sum_{name}"] or 0) for name in MEASURES}
    savings = Money(one["list_micros"] - one["listed_micros"]) if one["listed"] else None
    wasted = (Money(int(row["lost"] or 0)), Money(int(row["idle"] or 0)))
    return Row(
        group, one["seconds_us"] / 1e6, Money(one["micros"]), one["node_us"] / 1e6, savings, *wasted, one["nanos"] / 1e9, one["charges"]
    )
