"""Parquet files: pieces of whole row groups, and only the columns wanted of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from mlray.errors import SpecError, WorkError
from mlray.sources import contents, filed, troubles, typed
from mlray.sources.files import FileSource
from mlray.sources.piece import Found, Piece
from mlray.sources.places import Place, Secrets, none
from mlray.sources.shape import Taken, shape
from mlray.sources.units import Unit, grouped

Inside = Callable[[pa.Schema], Mapping[str, str]]  # schema of a file -> name in the table -> name in the file
unchanged = contents.unchanged
AT_LEAST = 4096
PICKLED = "pickled_object"  # Ray's extension type: reading such a value runs whatever was pickled


def find(name: str, source: FileSource, base: Path, rows_per_piece: int, secrets: Secrets = none) -> Found:
    def look(there: Place) -> Unit:
        return unit(there, source.renamed, rows_per_piece)

    return filed.find(name, source, base, secrets, look)


def read(found: Found, source: FileSource, pieces: Sequence[Piece], secrets: Secrets = none) -> Iterator[tuple[Piece, pa.Table]]:
    taken = shape(source, dict(found.columns), found.where)
    for at, there, group in filed.by_file(found, source, pieces, secrets):
        for piece, table in groups(there, group, taken, found.place(at)):
            yield piece, typed.numbered(typed.finish(table, taken, source.nulls, found.place(at), piece.first), piece.first)


def unit(there: Place, wanted: Mapping[str, str], rows_per_piece: int) -> Unit:
    """One file. Raises SpecError when somebody else encrypted it, or a column holds pickled objects."""
    with opened(there, troubles.shown(there.uri)) as file:
        rows = [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]
        schema = file.schema_arrow
    refuse_pickled(schema, troubles.shown(there.uri))
    return Unit(there.uri, typed.columns_of(schema, wanted), contents.name_of(there), grouped(rows, rows_per_piece))


def groups(
    there: Place,
    pieces: Sequence[Piece],
    taken: tuple[Taken, ...],
    where: str,
    inside: Inside | None = None,
) -> Iterator[tuple[Piece, pa.Table]]:
    """(piece, its columns by their names there). `inside` tells what they are called in this file, where a table's log renamed some."""
    with opened(there, where) as file:
        refuse_pickled(file.schema_arrow, where)
        paths = [column.there for column in taken]
        names = inside(file.schema_arrow) if inside else _own(file.schema_arrow, paths)
        for piece in pieces:
            table = file.read_row_groups(range(piece.start, piece.stop), columns=list(names.values()), use_threads=False)
            table.validate(full=True)  # a damaged file may hold text that is none
            columns = {there: typed.pick(table, path) for there, path in names.items()}
            yield piece, pa.table(columns) if columns else table


def _own(schema: pa.Schema, paths: Sequence[str]) -> dict[str, str]:
    there = typed.columns_of(schema, paths)
    return {path: path for path in paths if path in there}


def _refuse_others(raw: pa.NativeFile, where: str) -> None:
    size = raw.size()
    # Not the few bytes alone: Arrow cannot ask S3 again where the answer "later" is longer than what was asked for.
    begin, end = raw.read_at(min(size, AT_LEAST), 0), raw.read_at(min(size, AT_LEAST), max(0, size - AT_LEAST))
    if size < 12 or begin[:4] not in (b"PAR1", b"PARE"):
        raise SpecError(f"{where}: is not a Parquet file", hint="declare the format it has")
    if b"PARE" in (begin[:4], end[-4:]):
        raise SpecError(f"{where}: is encrypted, and mlray has no key to it", hint="have it written without, or read it where its key is")
    if end[-4:] != b"PAR1":
        raise SpecError(f"{where}: ends too early to be a whole Parquet file", hint="copy the file again")


@contextmanager
def opened(there: Place, where: str) -> Iterator[pa.parquet.ParquetFile]:
    """The file, its errors in words: Arrow's own name neither file nor column."""
    import pyarrow.parquet as pq

    with there.system.open_input_file(there.path) as raw:
        _refuse_others(raw, where)
        try:
            with pq.ParquetFile(raw, page_checksum_verification=True) as file:
                yield file
        except (pa.ArrowException, OSError) as error:
            if troubles.out_of_reach(error):
                raise
            why = "a column of it is encrypted" if "crypt" in str(error) else "broken, or of a kind that cannot be read"
            raise WorkError(f"{where}: {why} ({type(error).__name__})", hint="copy the file again, or have it written anew") from None


def refuse_pickled(schema: pa.Schema, where: str) -> None:
    """Refuses the whole file, whichever columns are wanted: it was made to be unpickled, and nobody here will."""
    bad = [field.name for field in schema if _pickled(field)]
    if bad:
        raise SpecError(
            f"{where}: column {', '.join(bad)} holds pickled Python objects, and reading those would run their code",
            hint="write its values as plain columns",
        )


def _pickled(field: pa.Field) -> bool:
    said = (field.metadata or {}).get(b"ARROW:extension:name", b"").decode(errors="replace")
    name = field.type.extension_name if isinstance(field.type, pa.BaseExtensionType) else said
    kind = field.type.storage_type if isinstance(field.type, pa.BaseExtensionType) else field.type
    return PICKLED in name or any(_pickled(kind.field(at)) for at in range(kind.num_fields) if pa.types.is_nested(kind))
