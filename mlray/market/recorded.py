"""Recorded traces as researchers publish them, and as plain CSV -> Trace. Mistakes are SpecErrors with file, line and field."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mlray.errors import Mistake, SpecError
from mlray.market.trace import EPOCH, Trace

# Two rows are one tick apart up to this share of a tick: clocks of recorders wander.
SLACK = 0.01
Row = tuple[int, float, int, float]  # line, time in seconds or tick, nodes, price (NaN where none)


# JSON


def from_json(file: Path, raw: bytes, prices: Path, changes: Mapping[str, Any]) -> Trace:
    """The trace of one zone, with the `changes` of its price that the file `prices` has under its name."""
    found = _object(file, raw)
    gap = _gap(file, found)
    data = found.get("data")
    if not isinstance(data, list) or not data:
        _refuse(file, 0, "data", "", "a list with the number of nodes in each tick is wanted")
    nodes = np.array([_count(file, 0, f"data[{i}]", value) for i, value in enumerate(data)], np.int64)
    zone, _, node_type = file.stem.partition("_")
    price = _prices(prices, file.stem, changes[file.stem], len(nodes)) if file.stem in changes else None
    return Trace(zone, gap, nodes, price, node_type)


def price_changes(file: Path, raw: bytes) -> dict[str, Any]:
    """By name of a trace, when its price changed."""
    data = _object(file, raw).get("data")
    if not isinstance(data, dict):
        _refuse(file, 0, "data", "", "an object with a list of [tick, price] for each trace is wanted")
    return data


def _prices(file: Path, name: str, changes: Any, ticks: int) -> NDArray[np.float64]:
    price = np.full(ticks, np.nan)
    before = -1
    for i, change in enumerate(changes if isinstance(changes, list) else [changes]):
        field = f"data.{name}[{i}]"
        if not isinstance(change, list) or len(change) != 2:
            _refuse(file, 0, field, repr(change), "a pair [tick, price] is wanted")
        tick, value = _count(file, 0, field, change[0]), _price(file, 0, field, change[1])
        if tick <= before:
            _refuse(file, 0, field, repr(change), f"ticks rise, and tick {before} came before")
        price[tick:] = value
        before = tick
    return price


def _object(file: Path, raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except json.JSONDecodeError as error:
        _refuse(file, error.lineno, "", "", f"not valid JSON: {error.msg}", error)
    except (UnicodeDecodeError, RecursionError) as error:
        _refuse(file, 0, "", "", "not valid JSON", error)
    if not isinstance(found, dict):
        _refuse(file, 1, "", "", 'an object with "metadata" and "data" is wanted')
    return found


def _gap(file: Path, found: dict[str, Any]) -> float:
    metadata = found.get("metadata")
    gap = metadata.get("gap_seconds") if isinstance(metadata, dict) else None
    if isinstance(gap, bool) or not isinstance(gap, int | float) or not 0 < gap < float("inf"):
        _refuse(file, 0, "metadata.gap_seconds", repr(gap), "the seconds of one tick are wanted, above 0")
    return float(gap)


# CSV


def from_csv(file: Path, raw: bytes) -> list[Trace]:
    """Every zone and node type of the file."""
    try:
        rows = csv.DictReader(raw.decode("utf-8-sig").splitlines())
        columns = [name.strip() for name in rows.fieldnames or ()]
        rows.fieldnames = columns
        return _traces(file, columns, rows)
    except (UnicodeDecodeError, csv.Error) as error:
        _refuse(file, 0, "", "", f"not CSV in UTF-8: {error}", error)


def _traces(file: Path, columns: list[str], rows: csv.DictReader[str]) -> list[Trace]:
    timed = "time" in columns
    wanted = ("zone", "nodes", "time") if timed else ("zone", "nodes", "tick", "tick_s")
    if missing := [name for name in wanted if name not in columns]:
        fix = f"the columns {', '.join(wanted)} are wanted (and price, node_type where known)"
        _refuse(file, 1, ", ".join(missing), "", fix)
    found: dict[tuple[str, str], list[Row]] = {}
    steps: dict[tuple[str, str], float] = {}
    for row in rows:
        line = rows.line_num
        key = ((row["zone"] or "").strip(), (row.get("node_type") or "").strip())
        at = _moment(file, line, row["time"]) if timed else _count(file, line, "tick", row["tick"])
        price = _price(file, line, "price", row["price"]) if (row.get("price") or "").strip() else float("nan")
        found.setdefault(key, []).append((line, at, _count(file, line, "nodes", row["nodes"]), price))
        if not timed and steps.setdefault(key, step := _number(file, line, "tick_s", row["tick_s"])) != step:
            _refuse(file, line, "tick_s", str(step), f"another than the {steps[key]:g} before: ticks of one trace are equally long")
    return [_trace(file, key, group, steps.get(key)) for key, group in found.items()]


def _trace(file: Path, key: tuple[str, str], rows: list[Row], tick_s: float | None) -> Trace:
    """Rows in order of time; `tick_s` is None where their times tell it."""
    rows.sort(key=lambda row: row[1])
    first, field = rows[0], "time" if tick_s is None else "tick"
    if tick_s is None and len(rows) < 2:
        _refuse(file, first[0], "time", "", f"one row for {' '.join(key).strip()}: two are needed to tell how long a tick is")
    step = (rows[-1][1] - first[1]) / (len(rows) - 1) if tick_s is None else 1.0
    for i, row in enumerate(rows):
        if step <= 0 or abs(row[1] - first[1] - i * step) > SLACK * step:
            _uneven(file, field, rows)
    prices = np.array([row[3] for row in rows])
    price = None if np.isnan(prices).all() else prices
    seconds = step if tick_s is None else tick_s
    start = EPOCH + timedelta(seconds=first[1] * (1 if tick_s is None else tick_s))
    return Trace(key[0], seconds, np.array([row[2] for row in rows], np.int64), price, key[1], start)


def _uneven(file: Path, field: str, rows: list[Row]) -> NoReturn:
    """The first row that is not one tick after the row before it; a tick is as long as most gaps are."""
    gaps = np.diff([row[1] for row in rows])
    usual = float(np.median(gaps))
    i = int(np.argmax(np.abs(gaps - usual) > SLACK * usual)) if usual > 0 else int(np.argmax(gaps <= 0))
    fix = f"{gaps[i]:g} after line {rows[i][0]}, where {usual:g} is usual: one row for each tick and zone is wanted"
    _refuse(file, rows[i + 1][0], field, "", fix)


def _moment(file: Path, line: int, text: str | None) -> float:
    """Seconds since 1970."""
    text = (text or "").strip()
    try:
        at = EPOCH + timedelta(seconds=float(text)) if text[-1:].isdigit() and "-" not in text[1:] else datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        _refuse(file, line, "time", repr(text), "write a time like 2026-01-31T06:00:00Z, or seconds", error)
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - EPOCH).total_seconds()


# Values


def _count(file: Path, line: int, field: str, value: Any) -> int:
    number = _number(file, line, field, value, zero=True)
    if number != int(number):
        _refuse(file, line, field, repr(value), "a whole number is wanted")
    return int(number)


def _price(file: Path, line: int, field: str, value: Any) -> float:
    return _number(file, line, field, value)


def _number(file: Path, line: int, field: str, value: Any, zero: bool = False) -> float:
    """Finite and above 0, or 0 itself where that is allowed."""
    least = "0 or more" if zero else "above 0"
    try:
        number = float("nan") if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not (0 <= number < float("inf")) or (number == 0 and not zero):
        _refuse(file, line, field, repr(value), f"a number is wanted, {least}")
    return number


def _refuse(file: Path, line: int, field: str, value: str, fix: str, why: BaseException | None = None) -> NoReturn:
    raise SpecError.listing((Mistake(str(file), line, field, value, fix),)) from why
