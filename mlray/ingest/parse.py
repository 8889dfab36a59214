"""CSV text -> typed tables, in blocks of a fixed number of lines.

Blocks are cut by counting lines, so block 7 of a file is the same rows on every machine and in every attempt. A value may
therefore hold no line break; one that does is refused, not misread.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyarrow import csv

from mlray.errors import SpecError, WorkError
from mlray.ingest.spec import ColumnType, Source

LINE = "_line"  # where in its file a row stands; the header is line 1
ARROW: dict[ColumnType, pa.DataType] = {
    "int": pa.int64(),
    "float": pa.float64(),
    "text": pa.string(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "bool": pa.bool_(),
}


@dataclass(frozen=True, slots=True)
class Input:
    """A source that was found: where, what it is called in messages, its columns, the SHA-256 of its file, and about how many lines."""

    uri: str
    where: str
    names: tuple[str, ...]
    digest: str
    lines: int


def header(line: bytes, where: str) -> tuple[str, ...]:
    """Column names in the first line. Raises SpecError when it is empty, not text, or names a column twice."""
    try:
        names = tuple(csv.read_csv(io.BytesIO(line.decode("utf-8-sig").encode() + b"\n")).column_names) if line.strip() else ()
    except (UnicodeDecodeError, pa.ArrowInvalid) as broken:
        raise SpecError(f"{where}:1: the first line is not a CSV header") from broken
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        raise SpecError(f"{where}:1: " + (f"the column {', '.join(twice)} is named twice" if twice else "the file is empty"))
    return names


def require(names: tuple[str, ...], source: Source, where: str) -> None:
    """Raises SpecError naming the declared columns that the file does not have."""
    missing = [column for column in source.columns if column not in names]
    if missing:
        raise SpecError(f"{where}:1: no column {', '.join(missing)}", hint=f"the file has {', '.join(names)}")


def cut(chunks: Iterable[bytes], lines: int, wanted: Callable[[int], bool]) -> Iterator[tuple[int, bytes]]:
    """(number, text) of each wanted block of `lines` whole lines; the last block holds the rest. Others are skipped unparsed."""
    number, have = 0, 0
    kept: list[bytes] = []
    for chunk in chunks:
        while (breaks := chunk.count(b"\n")) + have >= lines:
            end = int(np.flatnonzero(np.frombuffer(chunk, np.uint8) == 10)[lines - have - 1]) + 1
            if wanted(number):
                yield number, b"".join((*kept, chunk[:end]))
            number, have, kept, chunk = number + 1, 0, [], chunk[end:]
        have += breaks
        if wanted(number):
            kept.append(chunk)
    if rest := b"".join(kept):
        yield number, rest


def parse(text: bytes, names: tuple[str, ...], source: Source, where: str, first_line: int) -> pa.Table:
    """The declared columns of some lines, and `_line`. Raises WorkError naming line and column, never a value."""
    try:
        table = csv.read_csv(
            io.BytesIO(text),
            read_options=csv.ReadOptions(column_names=list(names), use_threads=False, block_size=len(text) + 1),
            parse_options=csv.ParseOptions(ignore_empty_lines=len(names) > 1),
            convert_options=csv.ConvertOptions(
                column_types={column: ARROW[kind] for column, kind in source.columns.items()},
                include_columns=list(source.columns),
                null_values=list(source.nulls),
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as bad:
        # Arrow's message quotes the row, so it is neither repeated nor chained.
        raise WorkError(
            _mistake(str(bad), names, source, where, first_line), hint="correct the file, or its types or nulls in the job"
        ) from None
    lines = text.count(b"\n") + (not text.endswith(b"\n"))
    if table.num_rows != lines:
        raise WorkError(
            f"{where}: {lines} lines from line {first_line} hold {table.num_rows} rows",
            hint="no line may be empty, no value may hold a line break",
        )
    return table.append_column(LINE, pa.array(np.arange(first_line, first_line + lines), pa.int64()))


def _mistake(said: str, names: tuple[str, ...], source: Source, where: str, first_line: int) -> str:
    row, column = re.search(r"Row #(\d+)", said), re.search(r"column #(\d+)", said)
    place = f"{where}:{first_line + int(row[1]) - 1}" if row else f"{where}, from line {first_line}"
    if not column:
        return f"{place}: not {len(names)} values"
    name = names[int(column[1])]
    return f"{place}: column {name}: not {_article(source.columns[name])}"


def _article(kind: ColumnType) -> str:
    moment = "a timestamp with its zone, like 2013-01-01T10:00:00Z"
    return {"int": "a whole number", "float": "a number", "text": "UTF-8 text", "timestamp": moment, "bool": "true or false"}[kind]
