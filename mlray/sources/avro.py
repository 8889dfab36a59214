"""Avro container files: pieces of whole blocks, decoded by Polars.

A file is a header and blocks, each with its count of rows and of bytes, so the blocks are found by hopping over them. A
piece is handed to Polars as a file of its own: the header, and the blocks of the piece.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from mlray.errors import SpecError, WorkError
from mlray.sources import contents, filed, troubles, typed
from mlray.sources.files import AvroSource
from mlray.sources.piece import Found, Piece
from mlray.sources.places import Place, Secrets, none
from mlray.sources.shape import shape
from mlray.sources.units import Cut, Unit, grouped

unchanged = contents.unchanged
SYNC = 16  # bytes after the header and after each block
WINDOW = 1 << 20
HEAD = 20  # bytes that hold two whole numbers, however large


def find(name: str, source: AvroSource, base: Path, rows_per_piece: int, secrets: Secrets = none) -> Found:
    def look(there: Place) -> Unit:
        where = troubles.shown(there.uri)
        with there.system.open_input_file(there.path) as file:
            header = read_header(file, where)
            ends, rows = blocks(file, len(header), where)
        columns = typed.columns_of(schema(header, where), source.renamed)
        bounds = [len(header), *ends]
        cuts = tuple(Cut(bounds[cut.start], bounds[cut.stop], cut.first, cut.rows) for cut in grouped(rows, rows_per_piece))
        return Unit(there.uri, columns, contents.name_of(there), cuts)

    return filed.find(name, source, base, secrets, look)


def read(found: Found, source: AvroSource, pieces: Sequence[Piece], secrets: Secrets = none) -> Iterator[tuple[Piece, pa.Table]]:
    taken = shape(source, dict(found.columns), found.where)
    for unit, there, group in filed.by_file(found, source, pieces, secrets):
        where = found.place(unit)
        with there.system.open_input_file(there.path) as file:
            header = read_header(file, where)
            inside = schema(header, where).names
            wanted = dict.fromkeys(c.there if c.there in inside else c.there.split(".")[0] for c in taken)
            for piece in group:
                raw = header + file.read_at(piece.stop - piece.start, piece.start)
                table = decode(raw, where, [name for name in wanted if name in inside])
                yield piece, typed.numbered(typed.finish(table, taken, source.nulls, where, piece.first), piece.first)


def decode(raw: bytes, where: str, wanted: Sequence[str] = ()) -> pa.Table:
    """The wanted columns, or all. Raises WorkError when Polars cannot read it."""
    import polars as pl

    try:
        frame = pl.read_avro(io.BytesIO(raw), columns=list(wanted) or None)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:  # it panics on blocks that lie about their size
        raise WorkError(f"{where}: {_why(str(error))}", hint="have it written with the codec null, deflate or snappy") from None
    return frame.to_arrow()


def schema(header: bytes, where: str) -> pa.Schema:
    """The columns, as Polars sees them: those of a file of the same schema without a row."""
    key, found = b"avro.schema", _map(header, 4)[0]
    text = found.get(key, b"")
    plain = b"".join((b"Obj\x01", _number(1), _number(len(key)), key, _number(len(text)), text, b"\0", header[-SYNC:]))
    return decode(plain + b"\0\0" + header[-SYNC:], where).schema


def read_header(file: pa.NativeFile, where: str) -> bytes:
    """Magic, schema and sync mark: all before the first block."""
    head = file.read_at(min(WINDOW, file.size()), 0)
    if head[:4] != b"Obj\x01":
        raise SpecError(f"{where}: is not an Avro container file", hint="declare the format it has")
    try:
        return bytes(head[: _map(head, 4)[1] + SYNC])
    except IndexError:
        raise SpecError(f"{where}: ends inside of its header", hint="copy the file again") from None


def blocks(file: pa.NativeFile, start: int, where: str) -> tuple[list[int], list[int]]:
    """(where each block ends, its rows). Hops from head to head; no row is read."""
    ends: list[int] = []
    rows: list[int] = []
    size, seen, begin = file.size(), b"", 0
    while start < size:
        if start + HEAD > begin + len(seen):  # a window at a time: a store answers late, and blocks are small
            seen, begin = file.read_at(min(WINDOW, size - start), start), start
        head = seen[start - begin : start - begin + HEAD]
        try:
            count, after = varint(head, 0)
            length, after = varint(head, after)
        except IndexError:
            count, length = -1, -1
        start += after + length + SYNC
        if count < 0 or length < 0 or start > size:
            raise SpecError(f"{where}: ends inside of a block, or is broken", hint="copy the file again")
        ends.append(start)
        rows.append(count)
    return ends, rows


def varint(raw: bytes, at: int) -> tuple[int, int]:
    """(a whole number as Avro writes it, where the next thing begins). Raises IndexError at the end."""
    value = shift = 0
    while True:
        value |= (raw[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not raw[at - 1] & 0x80:
            return (value >> 1) ^ -(value & 1), at


def _map(raw: bytes, at: int) -> tuple[dict[bytes, bytes], int]:
    """What a header tells of its file, and where the sync mark begins."""
    found: dict[bytes, bytes] = {}
    count, at = varint(raw, at)
    while count:
        if count < 0:
            _, at = varint(raw, at)
        for _ in range(abs(count)):
            texts = []
            for _ in range(2):
                length, at = varint(raw, at)
                texts.append(raw[at : at + length])
                at += length
            found[texts[0]] = texts[1]
        count, at = varint(raw, at)
    if at + SYNC > len(raw):
        raise IndexError
    return found, at


def _number(value: int) -> bytes:
    """A whole number from 0 on as Avro writes it."""
    value, out = value << 1, bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def _why(said: str) -> str:
    return "packed with a codec that cannot be read" if "codec" in said else "broken, or of a type that cannot be read"
