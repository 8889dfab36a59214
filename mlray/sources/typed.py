"""Values of any type a source has -> columns of the declared types, and what a value that is not of its type is called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlray.errors import WorkError
from mlray.sources.base import ColumnType, OnBad
from mlray.sources.shape import Taken

CORRECT = "correct the source, or its types or nulls in the job; on_bad: reject or null lets the other rows pass"
LINE = "_line"  # where in its file a row stands, from 1; the header of a CSV file is line 1
UNREADABLE = "_unreadable"  # why a row cannot be used, missing where it can
ARROW: dict[ColumnType, pa.DataType] = {
    "int": pa.int64(),
    "float": pa.float64(),
    "text": pa.string(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "bool": pa.bool_(),
    "binary": pa.binary(),
}
# Texts that may be of a type. What passes and is none after all (a 31st of February) is found by trying.
LIKELY = {
    "int": r"^\s*[+-]?[0-9]{1,19}\s*$",
    "float": r"^\s*[+-]?([0-9.]+([eE][+-]?[0-9]+)?|inf|nan|infinity)\s*$",
    "timestamp": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}(:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)$",
    "bool": r"^(?i:true|false|0|1)$",
}


def named(kind: ColumnType) -> str:
    """A type in words, for a message about a value that is not of it."""
    moment = "a timestamp with its zone, like 2013-01-01T10:00:00Z"
    words = {"int": "a whole number", "float": "a number", "text": "text", "bool": "true or false", "binary": "bytes"}
    return {**words, "timestamp": moment}[kind]


def kind_of(kind: pa.DataType) -> str:
    """The ColumnType of an Arrow type; "null" where there is no value at all, "other" where it is none of ours."""
    if pa.types.is_dictionary(kind):
        return kind_of(kind.value_type)
    if pa.types.is_integer(kind):
        return "int"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "float"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "text"
    if pa.types.is_null(kind):
        return "null"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "timestamp"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return "binary"
    return "bool" if pa.types.is_boolean(kind) else "other"


def cast(values: pa.ChunkedArray, kind: ColumnType) -> pa.ChunkedArray:
    """Raises ArrowInvalid when one value is not of the type. Moments without a zone are UTC; a float with a fraction is no int."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if kind == "bool" and kind_of(values.type) == "text":
        values = pc.utf8_lower(values)
    if pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("s"))
    # Parts of a microsecond are cut off; every other loss is refused.
    return values.cast(ARROW[kind], safe=not (kind == "timestamp" and pa.types.is_timestamp(values.type)))


def cast_tolerant(values: pa.ChunkedArray, kind: ColumnType) -> pa.ChunkedArray:
    """As `cast`, with missing values where one is not of the type."""
    try:
        return cast(values, kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        pass
    if kind in LIKELY and kind_of(values.type) == "text":
        likely = pc.match_substring_regex(values, LIKELY[kind], ignore_case=kind == "float")
        values = pc.if_else(likely, values, pa.scalar(None, values.type))
    elif kind == "int" and kind_of(values.type) == "float":
        values = values.cast(pa.float64())
        values = pc.if_else(pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 2.0**63)), values, None)
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return pa.chunked_array(_halved(whole, kind), ARROW[kind])


def _halved(values: pa.Array, kind: ColumnType) -> list[pa.Array]:
    """Parts that can be cast, in order; a single value that cannot is missing. Few are: the likely ones were sorted out before."""
    try:
        return list(cast(pa.chunked_array([values]), kind).chunks)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        if len(values) == 1:
            return [pa.nulls(1, ARROW[kind])]
        half = len(values) // 2
        return _halved(values[:half], kind) + _halved(values[half:], kind)


def broken(texts: pa.ChunkedArray) -> bool:
    """Whether one of the texts is a number but no whole one."""
    numbers = cast_tolerant(texts, "float")
    return bool(pc.any(pc.and_(numbers.is_valid(), cast_tolerant(texts, "int").is_null())).as_py())


def columns_of(schema: pa.Schema, wanted: Iterable[str]) -> dict[str, str]:
    """Name -> ColumnType or "other" of every column, and of the nested values that are wanted by a dotted path."""
    found = {field.name: kind_of(field.type) for field in schema}
    for path in wanted:
        if path not in found and (kind := _nested(schema, path)) is not None:
            found[path] = kind_of(kind)
    return found


def pick(table: pa.Table, there: str) -> pa.ChunkedArray:
    """A column, or the nested value at a dotted path; missing where what is around it is."""
    if there in table.column_names:
        return table[there]
    top, *inner = there.split(".")
    return pc.struct_field(table[top], inner)


def finish(table: pa.Table, taken: tuple[Taken, ...], nulls: Sequence[str] = (), where: str = "", first: int = 1) -> pa.Table:
    """The table with every column under its name here and of its type; one that is not there is missing throughout.

    A value that is not of its type raises WorkError with its line, is missing, or (`_unreadable`) has its row rejected.
    """
    reason = pa.nulls(table.num_rows, pa.string())
    columns: dict[str, pa.ChunkedArray | pa.Array] = {}
    for column in taken:
        if not _is_there(table, column.there):
            columns[column.here] = pa.nulls(table.num_rows, ARROW[column.kind])
            continue
        raw = without(pick(table, column.there), nulls)
        columns[column.here] = good = _as_declared(raw, column, where, first)
        if column.on_bad is OnBad.REJECT and good.null_count > raw.null_count:
            bad = pc.and_(pc.and_(raw.is_valid(), good.is_null()), reason.is_null())
            reason = pc.if_else(bad, f"{column.here} is not {named(column.kind)}", reason)
    if rejecting(taken):
        columns[UNREADABLE] = reason
    return pa.table(columns) if columns else table.select([])


def rejecting(taken: tuple[Taken, ...]) -> bool:
    """Whether rows of a source may come with a reason why they are unreadable."""
    return any(column.on_bad is OnBad.REJECT for column in taken)


def without(values: pa.ChunkedArray, nulls: Sequence[str]) -> pa.ChunkedArray:
    """Missing where a text is one of those that mean it."""
    if not nulls or kind_of(values.type) != "text":
        return values
    return pc.if_else(pc.is_in(values, value_set=pa.array(nulls, values.type)), pa.scalar(None, values.type), values)


def _as_declared(raw: pa.ChunkedArray, column: Taken, where: str, first: int) -> pa.ChunkedArray:
    if raw.type == ARROW[column.kind]:
        return raw
    if column.on_bad is not OnBad.REFUSE:
        return cast_tolerant(raw, column.kind)
    try:
        return cast(raw, column.kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        bad = pc.and_(raw.is_valid(), cast_tolerant(raw, column.kind).is_null())
        row = first + pc.index(bad, True).as_py()
    raise WorkError(f"{where}:{row}: column {column.there}: not {named(column.kind)}", hint=CORRECT)


def _nested(schema: pa.Schema, path: str) -> pa.DataType | None:
    kind: pa.DataType = pa.struct(list(schema))
    for step in path.split("."):
        at = kind.get_field_index(step) if pa.types.is_struct(kind) else -1
        if at < 0:
            return None
        kind = kind.field(at).type
    return kind


def _is_there(table: pa.Table, there: str) -> bool:
    return there in table.column_names or _nested(table.schema, there) is not None


def numbered(table: pa.Table, first: int) -> pa.Table:
    """With `_line`."""
    return table.append_column(LINE, pa.array(np.arange(first, first + table.num_rows), pa.int64()))
