"""The second seal: columns of a part that only some readers open.

A sealed column stands in the file as a binary column of the same name. The first row of each row group holds the sealed values
of the whole group, the rest are null; the field's metadata says in which scope it is sealed, and its real type. Who lacks
the scope's key reads all other columns as if nothing were there.

Sealed values are one Arrow column, packed. Where each row belongs to a subject, see by_subject.py: all sealed columns of one scope
then stand together in the first of them, because the work is for each subject and not for each value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from mlray.errors import KeyringError, TamperError
from mlray.vault import by_subject
from mlray.vault.by_subject import Persons, Subjects
from mlray.vault.keyring import DataKey, Scope
from mlray.vault.sealing import open_bytes, seal_bytes

SEALED, TYPE, HOLDER = b"mlray.sealed", b"mlray.type", b"mlray.in"

# The only column types a part may hold. Extension types stay out: reading one can unpickle, so run, what a file says.
TYPES: dict[str, pa.DataType] = {
    str(kind): kind for kind in (pa.int8(), pa.int64(), pa.float64(), pa.string(), pa.bool_(), pa.timestamp("us", tz="UTC"), pa.binary())
}


@dataclass(frozen=True, slots=True)
class Second:
    """Which columns are sealed again, in which scope; the file's key in each; and whose data each row is."""

    scopes: Mapping[str, Scope]
    keys: Mapping[Scope, DataKey]
    subjects: Subjects | None = None


@dataclass(frozen=True, slots=True)
class Unlock:
    """What a reader can open: `key` gives the file's key in a scope, or None; `persons` the keys of subjects."""

    key: Callable[[Scope], DataKey | None]
    persons: Callable[[], Persons]


def _nobody() -> Persons:
    raise KeyringError("the keys of this dataset's subjects were not asked for")


LOCKED = Unlock(lambda scope: None, _nobody)


def hide(table: pa.Table, second: Second, bounds: Sequence[tuple[int, int]], context: str) -> pa.Table:
    """The table as it is stored; `bounds` are its row groups."""
    for scope, names in _by_scope(second.scopes).items():
        key = second.keys[scope]
        for holder, held in [(names[0], names)] if second.subjects else [(name, [name]) for name in names]:
            cells = [_sealed(table, held, second.subjects, key, group, span, context, holder) for group, span in enumerate(bounds)]
            for name in held:
                stored = _column(cells, bounds) if name == holder else pa.nulls(table.num_rows, pa.binary())
                about = {SEALED: scope, TYPE: str(table.schema.field(name).type)} | ({HOLDER: holder} if second.subjects else {})
                table = table.set_column(table.schema.get_field_index(name), pa.field(name, pa.binary(), metadata=about), stored)
    return table


def show(found: pa.Table, rows: Mapping[int, int], context: str, unlock: Unlock) -> pa.Table:
    """The table as it was, of row groups `rows` (number -> rows); columns that cannot be opened are left out."""
    if not any(map(_is_sealed, found.schema)):
        return found
    opened: dict[str, dict[str, pa.ChunkedArray]] = {}
    for field in [field for field in found.schema if _is_sealed(field)]:
        name, at = field.name, holder(field)
        if not readable(field, unlock) or at not in found.column_names:
            continue
        if at not in opened:
            opened[at] = _opened(found, found.schema.field(at), rows, context, unlock)
        opened.setdefault(name, {})[name] = opened[at][name]
    shown = [
        (f.name, opened[f.name][f.name] if _is_sealed(f) else found[f.name]) for f in found.schema if not _is_sealed(f) or f.name in opened
    ]
    return pa.table(dict(shown), schema=pa.schema([(name, column.type) for name, column in shown]))


def logical(stored: pa.Schema, what: str) -> pa.Schema:
    """The schema as it was before columns were sealed. Raises TamperError for a type no part holds."""
    if not any(map(_is_sealed, stored)):
        return stored
    try:
        return pa.schema([(f.name, TYPES[f.metadata[TYPE].decode()] if _is_sealed(f) else f.type) for f in stored])
    except KeyError as unknown:
        raise TamperError(f"{what}: its schema is not one mlray wrote") from unknown


def readable(field: pa.Field, unlock: Unlock) -> bool:
    return not _is_sealed(field) or unlock.key(_scope(field)) is not None


def need(field: pa.Field, unlock: Unlock, what: str) -> None:
    """Raises KeyringError for a column that cannot be opened."""
    if not readable(field, unlock):
        scope = _scope(field)
        hint = f"leave the column out, or use a keyring that may read {scope} columns"
        raise KeyringError(f"{what}: column {field.name} is sealed in scope {scope}, whose key is not here", hint=hint)


def holder(field: pa.Field) -> str:
    """The column in which its values stand."""
    return str(field.metadata[HOLDER].decode()) if _is_sealed(field) and HOLDER in field.metadata else str(field.name)


def _is_sealed(field: pa.Field) -> bool:
    return SEALED in (field.metadata or {})


def _scope(field: pa.Field) -> Scope:
    return field.metadata[SEALED].decode()  # type: ignore[no-any-return]  # unlock knows no other scope


def _by_scope(scopes: Mapping[str, Scope]) -> dict[Scope, list[str]]:
    found = defaultdict[Scope, list[str]](list)
    for name, scope in scopes.items():
        found[scope].append(name)
    return found


def _sealed(
    table: pa.Table, names: list[str], subjects: Subjects | None, key: DataKey, group: int, span: tuple[int, int], context: str, holder: str
) -> bytes:
    start, stop = span
    part, where = table.select(names).slice(start, stop - start), _where(context, holder, group)
    data = by_subject.encode(part, subjects.slice(start, stop), key, where) if subjects else pack(part)
    return seal_bytes(key, data, where)


def _opened(found: pa.Table, field: pa.Field, rows: Mapping[int, int], context: str, unlock: Unlock) -> dict[str, pa.ChunkedArray]:
    """The columns that stand in one holder."""
    key = unlock.key(_scope(field))
    assert key is not None
    tables = []
    for (group, count), cell in zip(rows.items(), _cells(found[field.name], rows), strict=True):
        where = _where(context, field.name, group)
        data = open_bytes(key, cell, where)
        part = by_subject.decode(data, unlock.persons(), key, where) if HOLDER in field.metadata else unpack(data, where)
        if part.num_rows != count:
            raise TamperError(f"{where}: holds {part.num_rows} values for {count} rows")
        tables.append(part)
    whole = pa.concat_tables(tables) if tables else None
    names = [f.name for f in found.schema if _is_sealed(f) and holder(f) == field.name]
    empty = {f.name: pa.chunked_array([], TYPES[f.metadata[TYPE].decode()]) for f in found.schema if _is_sealed(f)}
    return {name: whole[name] if whole is not None else empty[name] for name in names}


def _cells(column: pa.ChunkedArray, rows: Mapping[int, int]) -> Iterator[bytes]:
    start = 0
    for count in rows.values():
        yield column[start].as_buffer().to_pybytes() if column[start].is_valid else b""
        start += count


def _column(cells: Sequence[bytes], bounds: Sequence[tuple[int, int]]) -> pa.ChunkedArray:
    """Each cell in the first row of its group."""
    chunks: list[pa.Array] = []
    for cell, (start, stop) in zip(cells, bounds, strict=True):
        chunks += [pa.array([cell], pa.binary()), pa.nulls(stop - start - 1, pa.binary())]
    return pa.chunked_array(chunks, pa.binary())


def _where(context: str, holder: str, group: int) -> str:
    return f"{context}: column {holder}, row group {group}"


def pack(table: pa.Table) -> bytes:
    """An Arrow IPC stream, packed."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_table(table.combine_chunks())
    return bytes(sink.getvalue())


def unpack(data: bytes, what: str) -> pa.Table:
    """Raises TamperError for a type no part holds: reading one could run what it says."""
    with pa.ipc.open_stream(data) as stream:
        if any(str(field.type) not in TYPES for field in stream.schema):
            raise TamperError(f"{what}: holds a type no part holds")
        return stream.read_all()
