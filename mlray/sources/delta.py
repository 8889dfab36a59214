"""Delta Lake tables: the log names the files, the Parquet reader reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from mlray.errors import SpecError
from mlray.sources import contents, lake, places, troubles, typed
from mlray.sources.extras import needed
from mlray.sources.lake import DataFile, Table
from mlray.sources.piece import Found, Piece
from mlray.sources.places import Secrets, none
from mlray.sources.tables import DeltaSource

unchanged = contents.unchanged
READ = {"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck", "typeWidening"}  # features that change nothing for who reads the files


def find(name: str, source: DeltaSource, base: Path, rows_per_piece: int, secrets: Secrets = none) -> Found:
    uri = places.absolute(source.uri, base)
    where = f"source {name} ({troubles.shown(uri).rstrip('/').rpartition('/')[2]})"
    return lake.found(name, table(uri, where, source, secrets), source, rows_per_piece, secrets)


def read(found: Found, source: DeltaSource, pieces: Sequence[Piece], secrets: Secrets = none) -> Iterator[tuple[Piece, pa.Table]]:
    return lake.read(found, source, pieces, secrets)


def table(uri: str, where: str, source: DeltaSource, secrets: Secrets) -> Table:
    """Raises SpecError when there is no such table or version, or it uses what cannot be read from its files alone."""
    delta = needed("deltalake", "lake")
    place = troubles.shown(uri)
    try:
        log = delta.DeltaTable(place, version=source.version, storage_options=lake.options(uri, source, secrets) or None)
    except (delta.exceptions.DeltaError, OSError, ValueError) as error:
        which = "" if source.version is None else f" of version {source.version}"
        raise SpecError(f"{where}: {place}: no Delta table{which} can be read there ({type(error).__name__})") from error
    _refuse_what_files_do_not_tell(log, where)
    schema = pa.schema(log.schema().to_arrow())
    adds = pa.table(log.get_add_actions(flatten=True)).to_pylist()
    files = tuple(DataFile(_uri(uri, add["path"]), _values(add)) for add in adds)
    changed = datetime.fromtimestamp(log.history(1)[0]["timestamp"] / 1e3, UTC)
    return Table(where, str(log.version()), typed.columns_of(schema, source.renamed), files, changed)


def _refuse_what_files_do_not_tell(log: Any, where: str) -> None:
    features = set(log.protocol().reader_features or ()) - READ
    if log.metadata().configuration.get("delta.columnMapping.mode", "none") != "none":
        features |= {"columnMapping"}
    if features:
        raise SpecError(
            f"{where}: the table uses {', '.join(sorted(features))}, which mlray does not read",
            hint="rewrite the table without it, or export it to Parquet",
        )


def _values(add: dict[str, Any]) -> dict[str, str | None]:
    return {name.removeprefix("partition."): _text(value) for name, value in add.items() if name.startswith("partition.")}


def _text(value: object) -> str | None:
    """A value that names a folder, in the form in which text is read as its type."""
    match value:
        case None:
            return None
        case datetime():
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
        case date():
            return f"{value.isoformat()}T00:00:00Z"
        case bool():
            return str(value).lower()
    return str(value)


def _uri(table: str, path: str) -> str:
    """The log spells paths as URIs; one that is whole belongs to a table that was cloned from another."""
    return path if "://" in path else places.beside(table, "", unquote(path))
