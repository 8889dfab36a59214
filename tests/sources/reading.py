"""Reads a source the way an ingest does: found, then all its pieces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import TypeAdapter

from mlray.sources import readers
from mlray.sources.piece import Found
from mlray.sources.spec import Source

SOURCE: TypeAdapter[Any] = TypeAdapter(Source)


def declared(**fields: Any) -> Any:
    return SOURCE.validate_python(fields)


def find(base: Path, rows: int = 100, name: str = "s", **fields: Any) -> Found:
    return readers.find(name, declared(**fields), base, rows)


def table(base: Path, rows: int = 100, **fields: Any) -> pa.Table:
    """All rows; pieces are read one at a time, backwards, so that none leans on the one before."""
    source = declared(**fields)
    found = readers.find("s", source, base, rows)
    assert [piece.number for piece in found.pieces] == list(range(len(found.pieces)))
    pieces = [next(iter(readers.read(found, source, [piece])))[1] for piece in reversed(found.pieces)]
    whole = readers.whole(found, source)
    if pieces:
        again = pa.concat_tables(pieces[::-1])
        same = again.equals(whole) or repr(again.to_pylist()) == repr(whole.to_pylist())  # NaN is not itself
        assert same, "all at once is the same as one by one"
    readers.unchanged(found, source)
    return whole
