"""What tables of a lake share: data files in Parquet that a log names, with columns that the log renames or adds.

An edge. The log decides which columns there are and which files count; the rows come from the Parquet reader.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa

from mlray.sources import contents, filed, parquet, places, typed
from mlray.sources.files import StoredSource
from mlray.sources.parquet import Inside
from mlray.sources.piece import Found, Piece
from mlray.sources.places import Secrets
from mlray.sources.shape import shape
from mlray.sources.units import named, together


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file that counts, and the values its rows share because they name its folder."""

    uri: str
    values: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """A table at one version."""

    where: str
    version: str
    columns: dict[str, str]
    files: tuple[DataFile, ...]
    changed: datetime | None


def found(name: str, table: Table, source: StoredSource, rows_per_piece: int, secrets: Secrets) -> Found:
    """Columns are those of the log: a file that was written before a column was added lacks it, and that is no mistake."""
    files = tuple(sorted(table.files, key=lambda file: file.uri))
    there = tuple(places.place(file.uri, source, secrets) for file in files)
    state = contents.state(there)
    units = filed.looked(name, there, lambda place: parquet.unit(place, source.renamed, rows_per_piece))
    units = [replace(unit, columns=table.columns, digest=named(unit.digest, file.values)) for unit, file in zip(units, files, strict=True)]
    facts = (("version", table.version), ("state", state), ("values", json.dumps([file.values for file in files])))
    shape(source, table.columns, table.where)
    all_files = together(name, table.where, source, units, table.changed, facts)
    return replace(all_files, columns=tuple(table.columns.items()))


def read(
    found: Found, source: StoredSource, pieces: Sequence[Piece], secrets: Secrets, inside: Inside | None = None
) -> Iterator[tuple[Piece, pa.Table]]:
    taken = shape(source, dict(found.columns), found.where)
    shared = json.loads(found.fact("values"))
    for unit, there, group in filed.by_file(found, source, pieces, secrets):
        for piece, table in parquet.groups(there, group, taken, found.place(unit), inside):
            for name, value in shared[unit].items():
                column = pa.repeat(pa.scalar(value, pa.string()), table.num_rows)
                table = table.append_column(name, column) if name not in table.column_names else table
            yield piece, typed.numbered(typed.finish(table, taken, source.nulls, found.place(unit), piece.first), piece.first)


def options(uri: str, source: StoredSource, secrets: Secrets) -> dict[str, str]:
    """How the Rust libraries are told what pyarrow reads from the query of a URI and from credentials."""
    query = dict(parse_qsl(urlsplit(uri).query))
    told = {"aws_region": query["region"]} if "region" in query else {}
    if "endpoint_override" in query:
        scheme = query.get("scheme", "https")
        told |= {"aws_endpoint": f"{scheme}://{query['endpoint_override']}", "allow_http": str(scheme == "http").lower()}
    if source.credentials:
        access, secret = secrets(source.credentials.access_key.secret), secrets(source.credentials.secret_key.secret)
        s3 = uri.startswith("s3://")
        told |= {"aws_access_key_id": access, "aws_secret_access_key": secret} if s3 else {"account_name": access, "account_key": secret}
        if source.credentials.session_token:
            told["aws_session_token"] = secrets(source.credentials.session_token.secret)
    return told
