"""ORC files: pieces of whole stripes, and only the columns wanted of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from mlray.errors import SpecError, WorkError
from mlray.sources import contents, filed, parquet, troubles, typed
from mlray.sources.files import OrcSource
from mlray.sources.piece import Found, Piece
from mlray.sources.places import Place, Secrets, none
from mlray.sources.shape import shape
from mlray.sources.units import Unit, grouped

unchanged = contents.unchanged
WIDTH = {"bool": 0, "int": 1, "float": 2, "timestamp": 3, "text": 4}


def find(name: str, source: OrcSource, base: Path, rows_per_piece: int, secrets: Secrets = none) -> Found:
    def look(there: Place) -> Unit:
        with opened(there, troubles.shown(there.uri)) as file:
            columns = typed.columns_of(file.schema, source.renamed)
            rows = stripes(file, columns)
        return Unit(there.uri, columns, contents.name_of(there), grouped(rows, rows_per_piece))

    return filed.find(name, source, base, secrets, look)


def read(found: Found, source: OrcSource, pieces: Sequence[Piece], secrets: Secrets = none) -> Iterator[tuple[Piece, pa.Table]]:
    taken = shape(source, dict(found.columns), found.where)
    for unit, there, group in filed.by_file(found, source, pieces, secrets):
        with opened(there, found.place(unit)) as file:
            inside = typed.columns_of(file.schema, source.renamed)
            columns = [column.there for column in taken if column.there in inside]
            for piece in group:
                table = pa.Table.from_batches([file.read_stripe(number, columns=columns) for number in range(piece.start, piece.stop)])
                table.validate(full=True)  # a damaged file may hold text that is none
                yield piece, typed.numbered(typed.finish(table, taken, source.nulls, found.place(unit), piece.first), piece.first)


def stripes(file: Any, columns: dict[str, str]) -> list[int]:
    """Rows of each stripe. Arrow does not tell them, so its narrowest column is read."""
    narrow = min(file.schema.names, key=lambda name: WIDTH.get(columns[name], 9), default=None)
    if narrow is None or file.nstripes == 1:
        return [file.nrows] if file.nrows else []
    return [file.read_stripe(number, columns=[narrow]).num_rows for number in range(file.nstripes)]


@contextmanager
def opened(there: Place, where: str) -> Iterator[Any]:
    from pyarrow import orc

    with there.system.open_input_file(there.path) as raw:
        if raw.read_at(min(raw.size(), parquet.AT_LEAST), 0)[:3] != b"ORC":
            raise SpecError(f"{where}: is not an ORC file", hint="declare the format it has")
        try:
            yield orc.ORCFile(raw)
        except (pa.ArrowException, OSError) as error:
            if troubles.out_of_reach(error):
                raise
            raise WorkError(
                f"{where}: broken, or of a kind that cannot be read ({type(error).__name__})", hint="copy the file again"
            ) from None
