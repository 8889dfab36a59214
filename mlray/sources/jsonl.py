"""JSON lines: found by one scan, read by byte ranges. Arrow parses; only a block with a value of another type is looked at line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import json as arrow_json

from mlray.sources import contents, filed, line_files, objects, troubles, typed
from mlray.sources.files import JsonlSource
from mlray.sources.piece import Found, Piece
from mlray.sources.places import Place, Secrets, none
from mlray.sources.shape import Taken, shape
from mlray.sources.typed import ARROW
from mlray.sources.units import Unit, named

unchanged = contents.unchanged
Json = Any


def find(name: str, source: JsonlSource, base: Path, rows_per_piece: int, secrets: Secrets = none) -> Found:
    """Columns are those of the first MiB of each file; a key that comes later alone is new, and is left out."""

    def look(there: Place) -> Unit:
        cuts = tuple(line_files.scan(there, source, rows_per_piece, 0))
        return Unit(there.uri, columns(line_files.sample(there, source), source, there), named(*(cut.digest for cut in cuts)), cuts)

    return filed.find(name, source, base, secrets, look, ("rows_per_piece", str(rows_per_piece)))


def read(found: Found, source: JsonlSource, pieces: Sequence[Piece], secrets: Secrets = none) -> Iterator[tuple[Piece, pa.Table]]:
    there_is = dict(found.columns)
    taken = shape(source, there_is, found.where)
    for unit, there, group in filed.by_file(found, source, pieces, secrets):
        where = found.place(unit)
        for piece, block in line_files.blocks(there, source, group, 0, found):
            table = parse(line_files.utf8(block, source, where, piece.first), taken, there_is, where, piece.first)
            yield piece, typed.numbered(typed.finish(table, taken, source.nulls, where, piece.first), piece.first)


def columns(text: bytes, source: JsonlSource, there: Place) -> dict[str, str]:
    """What some first lines hold. A text that looks like a time is text: only what is declared a timestamp is read as one."""
    if not text.strip():
        return {}
    text = line_files.utf8(text, source, troubles.shown(there.uri), 1)
    try:
        found = typed.columns_of(_read(text, None).schema, source.renamed)
    except pa.ArrowInvalid:
        found = objects.columns(text, source.renamed, troubles.shown(there.uri))
    return {name: "text" if kind == "timestamp" else kind for name, kind in found.items()}


def parse(text: bytes, taken: tuple[Taken, ...], there_is: dict[str, str], where: str, first: int) -> pa.Table:
    """The taken values of some lines. Raises WorkError naming line and column, never a value."""
    wanted = {column.there: _read_as(column, there_is) for column in taken if column.there in there_is}
    try:
        table = _read(text, _schema(wanted, there_is))
        if table.num_rows == text.count(b"\n") + (not text.endswith(b"\n")):
            return pa.table({there: typed.pick(table, there) for there in wanted}) if wanted else table
    except pa.ArrowInvalid:
        pass  # its message quotes values
    return objects.table(text, taken, wanted, there_is, where, first)


def _read(text: bytes, schema: pa.Schema | None) -> pa.Table:
    options = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore" if schema else "infer")
    return arrow_json.read_json(pa.BufferReader(text), arrow_json.ReadOptions(use_threads=False, block_size=len(text) + 1), options)


def _read_as(column: Taken, there_is: dict[str, str]) -> pa.DataType:
    """As the type it was found with, widened to the declared one; text that is declared something else is cast afterwards."""
    found = there_is[column.there]
    if found == "null":
        found = "text" if column.kind == "timestamp" else column.kind
    return ARROW[column.kind] if (column.kind, found) == ("float", "int") else ARROW.get(found, pa.string())  # type: ignore[call-overload]


def _schema(wanted: dict[str, pa.DataType], there_is: dict[str, str]) -> pa.Schema:
    """Dotted paths become objects within objects."""
    tree: dict[str, Json] = {}
    for path, kind in wanted.items():
        steps = path.split(".")
        if path in there_is and steps[0] not in there_is:
            steps = [path]  # a key with a dot in it
        at = tree
        for step in steps[:-1]:
            at = at.setdefault(step, {})
        at[steps[-1]] = kind
    return pa.schema(_fields(tree))


def _fields(tree: dict[str, Json]) -> list[pa.Field]:
    return [pa.field(name, pa.struct(_fields(kind)) if isinstance(kind, dict) else kind) for name, kind in tree.items()]
