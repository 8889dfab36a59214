"""JSON values to typed Arrow columns; strict, because a text that quietly becomes a number hides a caller's mistake."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import pyarrow as pa

Kind = Literal["number", "category", "time"]
NOTHING = type(None)


@dataclass(frozen=True, slots=True)
class InputColumn:
    """One raw column a caller sends, and what its values must be."""

    name: str
    kind: Kind


def column_of(column: InputColumn, values: Sequence[Any]) -> pa.Array:
    """The typed column. Raises ValueError naming the column, the row (from 0) and the value."""
    if column.kind == "number":
        return _numbers(column.name, values)
    if column.kind == "category":
        _only(column.name, values, (str, NOTHING), "text")
        return pa.array(values, type=pa.string())
    _only(column.name, values, (str, NOTHING), "ISO 8601 text, like 2013-06-01T13:00:00Z")
    return pa.array([_instant(column.name, row, value) for row, value in enumerate(values)], type=pa.timestamp("us", "UTC"))


def _numbers(name: str, values: Sequence[Any]) -> pa.Array:
    _only(name, values, (int, float, NOTHING), "a number")
    try:
        floats = [None if value is None else float(value) for value in values]
    except OverflowError:
        raise ValueError(f"column {name!r} holds a whole number too large for a float") from None
    for row, value in enumerate(floats):
        if value is not None and not math.isfinite(value):
            raise ValueError(f"column {name!r}, row {row}: {value} is not finite; send null for a missing value")
    return pa.array(floats, type=pa.float64())


def _only(name: str, values: Sequence[Any], allowed: tuple[type, ...], wanted: str) -> None:
    """Exact types: True is an int to Python, but not a number to the caller who sent it."""
    if set(map(type, values)) <= set(allowed):
        return
    row, value = next((row, value) for row, value in enumerate(values) if type(value) not in allowed)
    raise ValueError(f"column {name!r}, row {row}: {value!r:.80} is not {wanted}")


def _instant(name: str, row: int, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"column {name!r}, row {row}: {text!r:.80} is not ISO 8601, like 2013-06-01T13:00:00Z") from None
