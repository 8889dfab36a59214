"""Results -> JSON, or text in aligned columns.

Text is never cut or coloured, so that it reads the same in a terminal, a pipe and a log.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from mlray.units import Duration, Memory, Money, Percent, Price

# What a unit becomes in JSON: a plain number, under a key that names the unit.
SUFFIX: dict[type, str] = {Money: "_usd", Price: "_usd_per_hour", Duration: "_s", Memory: "_bytes", Percent: "_fraction"}
# A mapping with more entries than this is shown one entry a line.
MOST_ON_A_LINE = 4


def result(value: Any, as_json: bool, hide: Sequence[str] = ()) -> None:
    """One result on stdout. `hide` names fields that are too long to read; JSON holds them all the same."""
    print(to_json(value) if as_json else "\n".join(text(value, hide)))


def to_json(value: Any) -> str:
    """On one line, and never with the NaN that JSON does not have."""
    return json.dumps(plain(value), allow_nan=False)


def rows(name: str, records: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Several records with the same fields: one object that holds them under `name`, or a line each below a heading."""
    if as_json:
        print(to_json({name: records}))
    else:
        heading = [name.replace("_", " ") for name in records[0]] if records else ["none"]
        print("\n".join(columns([heading, *([_cell(value) for value in record.values()] for record in records)])))


def plain(value: Any) -> Any:
    """Dataclasses as objects, units as numbers, versions and other values with a text of their own as that text."""
    match value:
        case None | bool() | int() | str():
            return value if not isinstance(value, Enum) else value.value
        case float():
            return value if math.isfinite(value) else None
        case Money():
            return value.usd
        case Price():
            return value.per_hour.usd
        case Duration():
            return value.seconds
        case Percent():
            return value.fraction
        case Memory():
            return value.bytes
        case date():
            return value.isoformat()
        case Mapping():
            return {str(name): plain(item) for name, item in value.items()}
        case Path():
            return str(value)
    if _has_text(value):
        return str(value)
    if is_dataclass(value):
        return {key: item for name, kind, part in _fields(value) for key, item in _entry(name, kind, part)}
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return value.item() if hasattr(value, "item") else str(value)  # a numpy number, or what nobody foresaw


def text(value: Any, hide: Sequence[str] = ()) -> list[str]:
    """A line for each plain field, then a block for each field that holds several records or a long mapping."""
    if not is_dataclass(value) and not isinstance(value, Mapping):
        return table(value) if isinstance(value, list | tuple) else [_cell(value)]
    named = value.items() if isinstance(value, Mapping) else ((name, part) for name, _, part in _fields(value))
    shown = [(name.replace("_", " "), part) for name, part in named if name not in hide]
    out = columns([(name, _cell(part)) for name, part in shown if not _blocks(part)])
    for name, part in shown:
        if lines := _blocks(part):
            out += ["", f"{name}:", *(f"  {line}" for line in lines)]
    return out


def table(rows: Sequence[Any]) -> list[str]:
    """Dataclasses of one type as columns with a heading."""
    if not rows:
        return ["none"]
    if not is_dataclass(rows[0]):
        return [_cell(row) for row in rows]
    heading = [name.replace("_", " ") for name, _, _ in _fields(rows[0])]
    return columns([heading, *([_cell(part) for _, _, part in _fields(row)] for row in rows)])


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Each column as wide as its widest cell, two spaces between."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _fields(value: Any) -> Iterator[tuple[str, str, Any]]:
    return ((field.name, str(field.type), getattr(value, field.name)) for field in fields(value) if field.repr)


def _entry(name: str, kind: str, part: Any) -> Iterator[tuple[str, Any]]:
    """The key carries the unit, also when the value is absent; pairs become an object."""
    unit = next(
        (suffix for unit, suffix in SUFFIX.items() if isinstance(part, unit) or kind.rpartition(".")[2] == f"{unit.__name__} | None"), ""
    )
    if kind.startswith("tuple[tuple[str,") and all(len(pair) == 2 for pair in part):
        yield name, {key: plain(item) for key, item in part}
    else:
        yield name + unit, plain(part)


def _blocks(part: Any) -> list[str]:
    """The lines of a value that is too much for one line; none of one that is not."""
    if isinstance(part, Mapping) and len(part) > MOST_ON_A_LINE:
        return columns([(str(key), _cell(item)) for key, item in part.items()])
    records = isinstance(part, tuple | list) and bool(part) and is_dataclass(part[0]) and not _has_text(part[0])
    return table(part) if records else []


def _has_text(value: Any) -> bool:
    kinds: tuple[type, ...] = type(value).__mro__[:-1]
    return is_dataclass(value) and any("__str__" in vars(kind) for kind in kinds)


def _cell(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.6g}"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        case Mapping():
            return ", ".join(f"{key} {_cell(item)}" for key, item in value.items()) or "-"
        case tuple() | list():
            return ", ".join(" ".join(map(_cell, item)) if isinstance(item, tuple) else _cell(item) for item in value) or "-"
    if is_dataclass(value) and not _has_text(value):
        return ", ".join(f"{name.replace('_', ' ')} {_cell(part)}" for name, _, part in _fields(value))
    return str(value)
