"""Iceberg tables: the catalog names the snapshot, its manifests name the files, the Parquet reader reads them.

Columns are told apart by their field ids, so a file written before a column was renamed is read under the new name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from mlray.errors import SpecError
from mlray.sources import contents, lake, places, typed
from mlray.sources.extras import needed
from mlray.sources.lake import DataFile, Table
from mlray.sources.piece import Found, Piece
from mlray.sources.places import Secrets, none
from mlray.sources.shape import shape
from mlray.sources.tables import IcebergSource

unchanged = contents.unchanged
ID = b"PARQUET:field_id"


def find(name: str, source: IcebergSource, base: Path, rows_per_piece: int, secrets: Secrets = none) -> Found:
    where = f"source {name} ({source.table})"
    scan = _scan(source, where, base, secrets)
    found = lake.found(name, _table(scan, source, where), source, rows_per_piece, secrets)
    schema = _arrow(scan).serialize().to_pybytes().hex()
    return replace(found, facts=(*found.facts, ("schema", schema)))


def read(found: Found, source: IcebergSource, pieces: Sequence[Piece], secrets: Secrets = none) -> Iterator[tuple[Piece, pa.Table]]:
    schema = pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(found.fact("schema"))))
    paths = [column.there for column in shape(source, dict(found.columns), found.where)]
    return lake.read(found, source, pieces, secrets, lambda file: inside(paths, schema, file))


def inside(paths: Sequence[str], table: pa.Schema, file: pa.Schema) -> Mapping[str, str]:
    """Name in the table -> name in the file, of the columns the file has."""
    return {path: found for path in paths if (found := _by_id(path, table, file))}


def _by_id(path: str, table: pa.Schema, file: pa.Schema) -> str:
    steps = [path] if path in table.names else path.split(".")
    names: list[str] = []
    wanted, there = pa.struct(list(table)), pa.struct(list(file))
    for step in steps:
        if not (pa.types.is_struct(wanted) and pa.types.is_struct(there)) or wanted.get_field_index(step) < 0:
            return ""
        ours = wanted.field(step)
        theirs = next((field for field in there if _id(field) == _id(ours)), None) if _id(ours) else None
        if theirs is None:
            return ""
        names.append(theirs.name)
        wanted, there = ours.type, theirs.type
    return ".".join(names)


def _id(field: pa.Field) -> bytes:
    metadata: dict[bytes, bytes] = field.metadata or {}
    return metadata.get(ID, b"")


def _scan(source: IcebergSource, where: str, base: Path, secrets: Secrets) -> Any:
    catalogs = needed("pyiceberg.catalog", "lake")
    told = {"uri": _from(base, source.catalog)}
    if source.warehouse:
        told["warehouse"] = places.absolute(source.warehouse, base)
    if source.token:
        told["token"] = secrets(source.token.secret)
    if source.credentials:
        told |= {"s3.access-key-id": secrets(source.credentials.access_key.secret)}
        told |= {"s3.secret-access-key": secrets(source.credentials.secret_key.secret)}
    try:
        table = catalogs.load_catalog(source.catalog_name, **told).load_table(source.table)
    except Exception as error:  # catalogs raise whatever their drivers do
        kind = type(error).__name__
        raise SpecError(
            f"{where}: the catalog gives no such table ({kind})", hint="see catalog, catalog_name, table and secrets"
        ) from error
    if source.snapshot is not None and table.snapshot_by_id(source.snapshot) is None:
        raise SpecError(f"{where}: no snapshot {source.snapshot}", hint="leave snapshot out for the current one")
    return table.scan(snapshot_id=source.snapshot)


def _table(scan: Any, source: IcebergSource, where: str) -> Table:
    files = tuple(scan.plan_files())
    if any(task.delete_files for task in files):
        raise SpecError(f"{where}: rows of it are deleted by delete files, which mlray does not read", hint="rewrite its data files first")
    if other := {task.file.file_format.value for task in files} - {"PARQUET"}:
        raise SpecError(f"{where}: keeps files of {', '.join(sorted(other))}, not Parquet", hint="rewrite its data files as Parquet")
    snapshot = scan.snapshot()
    changed = datetime.fromtimestamp(snapshot.timestamp_ms / 1e3, UTC) if snapshot else None
    columns = typed.columns_of(_arrow(scan), source.renamed)
    return Table(where, str(snapshot.snapshot_id if snapshot else 0), columns, tuple(DataFile(t.file.file_path) for t in files), changed)


def _arrow(scan: Any) -> pa.Schema:
    schema: pa.Schema = needed("pyiceberg.io.pyarrow", "lake").schema_to_pyarrow(scan.projection())
    return schema


def _from(base: Path, catalog: str) -> str:
    """A SQLite catalog beside the job may be named by its relative path."""
    path = catalog.removeprefix("sqlite:///")
    return f"sqlite:///{(base / path).resolve()}" if path != catalog else catalog
