"""Lance datasets: pieces of rows within a fragment, and only the columns wanted of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import pyarrow as pa

from mlray.errors import SpecError, WorkError
from mlray.sources import lake, parquet, places, troubles, typed
from mlray.sources.extras import needed
from mlray.sources.piece import Found, Piece
from mlray.sources.places import Secrets, none
from mlray.sources.shape import shape
from mlray.sources.tables import LanceSource
from mlray.sources.units import Cut, Unit, named, together


def find(name: str, source: LanceSource, base: Path, rows_per_piece: int, secrets: Secrets = none) -> Found:
    """Units are fragments, named by their files: Lance never writes a file twice, and has no digests of its own."""
    uri = places.absolute(source.uri, base)
    where = f"source {name} ({troubles.shown(uri).rstrip('/').rpartition('/')[2]})"
    data = opened(uri, source.version, where, source, secrets)
    parquet.refuse_pickled(data.schema, where)
    columns = typed.columns_of(data.schema, source.renamed)
    units = [_unit(fragment, uri, columns, rows_per_piece) for fragment in data.get_fragments()]
    changed = next((v["timestamp"].astimezone(UTC) for v in data.versions() if v["version"] == data.version), None)
    shape(source, columns, where)
    return together(name, where, source, units, changed, (("version", str(data.version)), ("columns", json.dumps(columns)), ("uri", uri)))


def read(found: Found, source: LanceSource, pieces: Sequence[Piece], secrets: Secrets = none) -> Iterator[tuple[Piece, pa.Table]]:
    taken = shape(source, dict(found.columns), found.where)
    data = opened(found.fact("uri"), int(found.fact("version")), found.where, source, secrets)
    fragments = {f"{found.fact('uri')}#{fragment.fragment_id}": fragment for fragment in data.get_fragments()}
    names = dict.fromkeys(column.there if column.there in data.schema.names else column.there.split(".")[0] for column in taken)
    wanted = [name for name in names if name in data.schema.names]
    for piece in pieces:
        try:
            scanner = fragments[found.units[piece.unit]].scanner(columns=wanted, offset=piece.start, limit=piece.stop - piece.start)
            table = scanner.to_table()
        except (OSError, ValueError, KeyError) as error:
            raise WorkError(f"{found.where}: version {found.fact('version')} can no longer be read ({type(error).__name__})") from error
        yield piece, typed.numbered(typed.finish(table, taken, source.nulls, found.where, piece.first), piece.first)


def unchanged(found: Found, source: LanceSource, secrets: Secrets = none) -> None:
    """A version never changes."""


def opened(uri: str, version: int | None, where: str, source: LanceSource, secrets: Secrets) -> Any:
    try:
        options = lake.options(uri, source, secrets) or None
        return needed("lance", "lake").dataset(troubles.shown(uri), version=version, storage_options=options)
    except (OSError, ValueError) as error:
        which = "" if version is None else f" of version {version}"
        raise SpecError(f"{where}: {troubles.shown(uri)}: no Lance dataset{which} can be read there ({type(error).__name__})") from error


def _unit(fragment: Any, uri: str, columns: dict[str, str], most: int) -> Unit:
    rows = fragment.count_rows()
    cuts = tuple(Cut(start, min(start + most, rows), start + 1, min(most, rows - start)) for start in range(0, rows, most))
    return Unit(f"{uri}#{fragment.fragment_id}", columns, named(json.dumps(fragment.metadata.to_json(), sort_keys=True)), cuts)
