"""Readers: one for each format, all with the same three functions. An edge, as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from mlray.errors import StoreError, WorkError
from mlray.sources import avro, binary, csv, delta, iceberg, jsonl, kafka, kinesis, lance, orc, parquet, sql, text, troubles, typed
from mlray.sources.freshness import stale
from mlray.sources.piece import Found, Piece
from mlray.sources.places import Secrets, none
from mlray.sources.shape import shape
from mlray.sources.spec import Source
from mlray.sources.typed import ARROW


class Reader(Protocol):
    """A module that reads one format."""

    def find(self, name: str, source: Any, base: Path, rows_per_piece: int, secrets: Secrets = none) -> Found: ...

    def read(self, found: Found, source: Any, pieces: Sequence[Piece], secrets: Secrets = none) -> Iterator[tuple[Piece, pa.Table]]: ...

    def unchanged(self, found: Found, source: Any, secrets: Secrets = none) -> None: ...


READERS: dict[str, Reader] = {
    "csv": csv,
    "jsonl": jsonl,
    "text": text,
    "parquet": parquet,
    "orc": orc,
    "avro": avro,
    "images": binary,
    "binary": binary,
    "delta": delta,
    "iceberg": iceberg,
    "lance": lance,
    "sql": sql,
    "kafka": kafka,
    "kinesis": kinesis,
}


def find(name: str, source: Source, base: Path, rows_per_piece: int, secrets: Secrets = none) -> Found:
    """The source as it lies there now. Relative paths start at `base`. Raises SpecError: missing, unreadable, no such columns.

    An older source than `fresh_within` is a WorkError, or the fact `stale`.
    """
    found = READERS[source.format].find(name, source, base, rows_per_piece, secrets)
    said = stale(source, found, datetime.now(UTC))
    if said and source.on_stale == "refuse":
        raise WorkError(said, hint="wait for newer data, or write on_stale: warn")
    return replace(found, facts=(*found.facts, ("stale", said))) if said else found


def read(found: Found, source: Source, pieces: Sequence[Piece], secrets: Secrets = none) -> Iterator[tuple[Piece, pa.Table]]:
    """Pieces in order, each a table of the columns of `shape`, typed, and `_line`; `_unreadable` where a column rejects.

    Raises WorkError naming line and column of what cannot be used, never a value.
    """
    try:
        yield from READERS[source.format].read(found, source, pieces, secrets)
    except OSError as error:
        # No WorkError: the same rows may well be had later, so the pieces that are done are worth keeping.
        raise StoreError(f"{found.where}: {troubles.why(error)}", hint="run it again when the source can be reached") from None
    except (*troubles.BROKEN, ValueError) as error:
        # What stands in Arrow's message may be a row.
        raise WorkError(f"{found.where}: cannot be read ({type(error).__name__})", hint=typed.CORRECT) from None


def whole(found: Found, source: Source, secrets: Secrets = none) -> pa.Table:
    """All of a small source."""
    tables = [table for _, table in read(found, source, found.pieces, secrets)]
    if tables:
        return pa.concat_tables(tables)
    return pa.table({column.here: pa.nulls(0, ARROW[column.kind]) for column in shape(source, dict(found.columns), found.where)})


def unchanged(found: Found, source: Source, secrets: Secrets = none) -> None:
    """Raises WorkError when the source changed while it was read."""
    READERS[source.format].unchanged(found, source, secrets)


def release(found: Found) -> None:
    """Lets go of what is held so that all pieces see one moment. Harmless where nothing is."""
    sql.release(found)
