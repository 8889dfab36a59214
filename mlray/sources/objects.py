"""JSON lines one by one, for blocks that Arrow refuses: which line and column it is, and the values of the others."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from mlray.errors import SpecError, WorkError
from mlray.sources import typed
from mlray.sources.base import OnBad
from mlray.sources.shape import Taken

ONE = "write one object a line, without an empty line and without a comma after it"
BAD = b"\xff"  # bytes that are no text, so of no type
PYTHON: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "text": (str,), "bool": (bool,)}
Json = Any


def columns(text: bytes, renamed: Mapping[str, str], where: str) -> dict[str, str]:
    """Where lines do not agree: the type that came first counts, and reading tells of the others."""
    found: dict[str, str] = {}
    for line in text.split(b"\n"):
        try:
            row = _object(line, where)
        except WorkError:
            continue
        for name in {*row, *(path for path in renamed if _at(row, path) is not None)}:
            kind = typed.kind_of(pa.scalar(_at(row, name)).type) if not isinstance(_at(row, name), dict | list) else "other"
            found[name] = kind if found.get(name, "null") == "null" else found[name]
    if not found:
        raise SpecError(f"{where}: holds no JSON objects", hint=ONE)
    return found


def table(
    text: bytes, taken: tuple[Taken, ...], wanted: dict[str, pa.DataType], there_is: dict[str, str], where: str, first: int
) -> pa.Table:
    """What Arrow refused, once more in Python: which line it is, and the values of the others."""
    tolerant = {column.there for column in taken if column.on_bad is not OnBad.REFUSE}
    declared = {column.there: column.kind for column in taken}
    values: dict[str, list[Json]] = {there: [] for there in wanted}
    for number, line in enumerate(text.removesuffix(b"\n").split(b"\n"), first):
        row = _object(line, f"{where}:{number}")
        for there in wanted:
            value = _at(row, there)
            good = value is None or _is(value, typed.kind_of(wanted[there]))
            if not good and there not in tolerant:
                raise WorkError(f"{where}:{number}: column {there}: not {typed.named(declared[there])}", hint=typed.CORRECT)
            values[there].append(value if good else BAD)
    return pa.table({there: _array(found, wanted[there], declared[there]) for there, found in values.items()})


def _array(values: list[Json], kind: pa.DataType, declared: str) -> pa.Array:
    """Of the wanted type; in a form that is cast value by value, and fails for each bad one, where there is one."""
    if not any(value is BAD for value in values):
        return pa.array(values, kind)
    if declared == "text" and typed.kind_of(kind) == "text":
        return pa.array([value if value is None or value is BAD else value.encode() for value in values], pa.binary())
    return pa.array([_text(value) for value in values], pa.string())


def _text(value: Json) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return "\ufffd" if value is BAD else json.dumps(value)


def _object(line: bytes, where: str) -> dict[str, Json]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):  # its message quotes the line
        row = None
    if not isinstance(row, dict):
        raise WorkError(f"{where}: not a JSON object", hint=ONE)
    return row


def _at(row: Json, path: str) -> Json:
    if path in row:
        return row[path]
    for step in path.split("."):
        row = row.get(step) if isinstance(row, dict) else None
    return row


def _is(value: Json, kind: str) -> bool:
    if isinstance(value, bool) or kind not in PYTHON:
        return kind == "bool"
    fits = not isinstance(value, int) or kind != "int" or -(2**63) <= value < 2**63
    return isinstance(value, PYTHON[kind]) and fits and not (isinstance(value, float) and math.isinf(value))
