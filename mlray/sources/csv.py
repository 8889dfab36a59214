"""CSV files: found by one scan, read by byte ranges, typed by Arrow while it parses."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from mlray.errors import SpecError, WorkError
from mlray.sources import places, texts, typed
from mlray.sources.base import OnBad
from mlray.sources.files import CsvSource
from mlray.sources.piece import Found, Piece
from mlray.sources.places import Secrets, none
from mlray.sources.shape import Taken, shape
from mlray.sources.typed import ARROW

unchanged = places.unchanged


def find(name: str, source: CsvSource, base: Path, rows_per_piece: int, secrets: Secrets = none) -> Found:
    """One scan: headers, line counts, and a digest of every piece. Raises SpecError."""
    files = places.found_in(name, source, base, secrets)
    where = places.called(name, files)
    columns: dict[str, str] = {}
    pieces: list[Piece] = []
    rows = 0
    for unit, there in enumerate(files):
        with places.telling(f"source {name}: {places.shown(there.uri)}", there.uri):
            first = texts.head(there, source)
            names = header(first, source, f"{where}:1" if len(files) == 1 else f"{where}: {places.shown(there.uri)}:1")
            columns |= dict.fromkeys(names, "text")
            for piece, count in texts.scan(there, source, unit, rows_per_piece, len(first), len(pieces)):
                pieces.append(piece)
                rows += count
    facts = (("rows_per_piece", str(rows_per_piece)), ("state", places.state(files)))
    digest = hashlib.sha256(repr([(columns, source.encoding), *((p.unit, p.digest) for p in pieces)]).encode()).hexdigest()
    found = Found(
        name, where, tuple(f.uri for f in files), digest, tuple(columns.items()), tuple(pieces), rows, places.changed(files), facts
    )
    shape(source, columns, f"{where}:1")
    return found


def read(found: Found, source: CsvSource, pieces: Sequence[Piece], secrets: Secrets = none) -> Iterator[tuple[Piece, pa.Table]]:
    """Raises WorkError naming line and column of what is not of its type, never a value."""
    taken = shape(source, dict(found.columns), found.where)
    for unit, group in groupby(pieces, key=lambda piece: piece.unit):
        first = texts.head(places.place(found.units[unit], source, secrets), source)
        names = header(first, source, found.place(unit))
        for piece, block in texts.blocks(found, source, unit, list(group), len(first), secrets):
            yield piece, parse(block, names, taken, source, found.place(unit), piece.first)


def header(line: bytes, source: CsvSource, where: str) -> tuple[str, ...]:
    """Column names in the first line. Raises SpecError when it is empty, not text, or names a column twice."""
    line = line.rstrip(b"\r\n")
    try:
        text = _decoded(line, source).removeprefix("\ufeff").encode()
        names = tuple(csv.read_csv(io.BytesIO(text + b"\n"), parse_options=_parse(source, 2)).column_names) if text.strip() else ()
    except (UnicodeDecodeError, pa.ArrowInvalid) as broken:
        raise SpecError(f"{where}: the first line is not a CSV header in {source.encoding}", hint="declare its encoding") from broken
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        raise SpecError(f"{where}: " + (f"the column {', '.join(twice)} is named twice" if twice else "the file is empty"))
    _refuse_another_delimiter(names, source, where)
    return names


def parse(block: bytes, names: tuple[str, ...], taken: tuple[Taken, ...], source: CsvSource, where: str, first: int) -> pa.Table:
    """The taken columns of some lines, and `_line`. Raises WorkError naming line and column, never a value."""
    here = [column for column in taken if column.there in names]
    text = _utf8(block, source)
    try:
        table = csv.read_csv(
            pa.BufferReader(text),
            read_options=csv.ReadOptions(column_names=list(names), use_threads=False, block_size=len(text) + 1),
            parse_options=_parse(source, len(names)),
            convert_options=csv.ConvertOptions(
                column_types={column.there: _read_as(column) for column in here},
                include_columns=[column.there for column in here],
                null_values=list(source.nulls),
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as bad:
        # Arrow's message quotes the row, so it is neither repeated nor chained.
        raise WorkError(_mistake(str(bad), names, taken, where, first), hint="correct the file, or its types or nulls in the job") from None
    if not source.multiline and table.num_rows != (lines := block.count(b"\n") + (not block.endswith(b"\n"))):
        raise WorkError(
            f"{where}: {lines} lines from line {first} hold {table.num_rows} rows",
            hint="no line may be empty; where values hold line breaks, write multiline: true",
        )
    return typed.numbered(typed.finish(table, taken), first)


def _parse(source: CsvSource, columns: int) -> csv.ParseOptions:
    return csv.ParseOptions(
        delimiter=source.delimiter,
        quote_char=source.quote or False,
        newlines_in_values=source.multiline,
        ignore_empty_lines=columns > 1,
    )


def _read_as(column: Taken) -> pa.DataType:
    return ARROW[column.kind] if column.on_bad is OnBad.REFUSE else pa.string()


def _decoded(line: bytes, source: CsvSource) -> str:
    return line.decode("latin-1" if source.encoding == "latin-1" else "utf-8")


def _utf8(block: bytes, source: CsvSource) -> bytes:
    """UTF-16 was recoded as it was streamed."""
    return block.decode("latin-1").encode() if source.encoding == "latin-1" else block


def _refuse_another_delimiter(names: tuple[str, ...], source: CsvSource, where: str) -> None:
    if len(names) > 1 or len(source.columns) == 1:
        return
    if other := next((sign for sign in ",;\t|" if sign != source.delimiter and sign in names[0]), ""):
        raise SpecError(f"{where}: one column, so values are not delimited by {source.delimiter!r}", hint=f"write delimiter: {other!r}")


def _mistake(said: str, names: tuple[str, ...], taken: tuple[Taken, ...], where: str, first: int) -> str:
    row, number = re.search(r"Row #(\d+)", said), re.search(r"column #(\d+)", said)
    place = f"{where}:{first + int(row[1]) - 1}" if row else f"{where}, from line {first}"
    column = next((c for c in taken if number and c.there == names[int(number[1])]), None)
    if not column:
        return f"{place}: not {len(names)} values"
    return f"{place}: column {column.there}: not {'UTF-8 text' if column.kind == 'text' else typed.named(column.kind)}"
