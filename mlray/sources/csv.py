"""CSV files: found by one scan, read by byte ranges, typed by Arrow while it parses."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from mlray.errors import SpecError, WorkError
from mlray.sources import contents, filed, line_files, troubles, typed
from mlray.sources.base import OnBad
from mlray.sources.files import CsvSource
from mlray.sources.lines import breaks
from mlray.sources.piece import Found, Piece
from mlray.sources.places import Place, Secrets, none
from mlray.sources.shape import Taken, shape
from mlray.sources.typed import ARROW
from mlray.sources.units import Cut, Unit, named

unchanged = contents.unchanged


def find(name: str, source: CsvSource, base: Path, rows_per_piece: int, secrets: Secrets = none) -> Found:
    """One scan: headers, line counts, and a digest of every piece. Raises SpecError."""

    def look(there: Place) -> Unit:
        first = line_files.head(there, source)
        names = header(first, source, f"{troubles.shown(there.uri)}:1")
        # The same lines under another header are other rows, so it names a piece as well.
        scanned = line_files.scan(there, source, rows_per_piece, len(first))
        cuts = tuple(replace(cut, digest=named(names, cut.digest)) for cut in scanned)
        columns = _widened(there, names, cuts, source, len(first)) if source.on_wider_column == "keep" else dict.fromkeys(names, "text")
        return Unit(there.uri, columns, named(names, *(cut.digest for cut in cuts)), cuts)

    return filed.find(name, source, base, secrets, look, ("rows_per_piece", str(rows_per_piece)))


def read(found: Found, source: CsvSource, pieces: Sequence[Piece], secrets: Secrets = none) -> Iterator[tuple[Piece, pa.Table]]:
    """Raises WorkError naming line and column of what is not of its type, never a value."""
    taken = shape(source, dict(found.columns), found.where)
    for unit, there, group in filed.by_file(found, source, pieces, secrets):
        first = line_files.head(there, source)
        names = header(first, source, f"{found.place(unit)}:1")
        for piece, block in line_files.blocks(there, source, group, len(first), found):
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
        raise WorkError(_mistake(str(bad), names, taken, where, first), hint=typed.CORRECT) from None
    if not source.multiline and table.num_rows != (lines := breaks(block) + (not block.endswith(b"\n"))):
        raise WorkError(
            f"{where}: {lines} lines from line {first} hold {table.num_rows} rows",
            hint="no line may be empty; where values hold line breaks, write multiline: true",
        )
    return typed.numbered(typed.finish(table, taken, (), where, first), first)


def _widened(there: Place, names: tuple[str, ...], cuts: tuple[Cut, ...], source: CsvSource, skip: int) -> dict[str, str]:
    """What the columns declared int really are. It takes one more pass, over those columns alone, which on_wider_column: keep asks for."""
    whole = {how.of or here: how for here, how in source.wanted.items() if how.type == "int" and (how.of or here) in names}
    found = dict.fromkeys(names, "text")
    pieces = [Piece(number, 0, cut.start, cut.stop, cut.digest, cut.first) for number, cut in enumerate(cuts)]
    for piece, block in line_files.cut_blocks(there, source, pieces, skip, cuts[0].rows if cuts else 1):
        texted = tuple(Taken(name, name, "text") for name in whole if found[name] == "text")
        table = parse(block, names, texted, source, there.path, piece.first)
        found |= {column.there: "float" for column in texted if typed.broken(table[column.here])}
    return found


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
