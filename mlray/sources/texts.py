"""Files of lines: found with one scan that counts, names and cuts them; read piece by piece.

An edge. A plain file is entered where a piece begins. A packed one, or one in UTF-16, cannot be: it is streamed once for
all the pieces a task reads, and the others are skipped unparsed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from mlray.errors import WorkError
from mlray.sources import lines
from mlray.sources.files import CsvSource, TextFileSource
from mlray.sources.piece import Found, Piece
from mlray.sources.places import Place, Secrets, chunks, place

HEAD = 1 << 20


def entered(there: Place, source: TextFileSource) -> bool:
    """Whether the file can be entered in the middle."""
    return not there.packed and source.encoding != "utf-16"


def quote_of(source: TextFileSource) -> str:
    return source.quote if isinstance(source, CsvSource) and source.multiline else ""


def text(there: Place, source: TextFileSource) -> Iterator[bytes]:
    """The unpacked text in a form whose line ends are bytes. Raises WorkError when UTF-16 is none."""
    if source.encoding != "utf-16":
        yield from chunks(there)
        return
    try:
        yield from lines.recoded(chunks(there), "utf-16")
    except UnicodeError as error:
        raise WorkError(f"{there.path.rpartition('/')[2]}: is not UTF-16 text", hint="declare its encoding") from error


def head(there: Place, source: TextFileSource) -> bytes:
    """The first line with its end, or all there is of it in the first MiB."""
    begun = b""
    with closing(text(there, source)) as stream:  # type: ignore[type-var]
        for chunk in stream:
            begun += chunk
            if b"\n" in chunk or len(begun) > HEAD:
                break
    return begun[: begun.find(b"\n") + 1] if b"\n" in begun else begun


def scan(there: Place, source: TextFileSource, unit: int, rows: int, skip: int, number: int) -> Iterator[tuple[Piece, int]]:
    """(piece, its rows) of one file, `skip` bytes of a header after its start. Hashing goes on beside, in a second thread."""
    offset, first = skip, 2 if skip else 1
    with ThreadPoolExecutor(1) as beside, closing(_after(text(there, source), skip)) as stream:  # type: ignore[type-var]
        before = None
        for index, count, block in lines.cut(stream, rows, lambda _: True, quote_of(source)):
            bounds = (offset, offset + len(block)) if entered(there, source) else (index * rows, index * rows + count)
            now = (beside.submit(_name, block), unit, *bounds, number + index, first + index * rows, count)
            if before:
                yield _piece(*before)
            before, offset = now, offset + len(block)
        if before:
            yield _piece(*before)


def blocks(
    found: Found, source: TextFileSource, unit: int, pieces: list[Piece], skip: int, secrets: Secrets
) -> Iterator[tuple[Piece, bytes]]:
    """(piece, its text) of one file, in order. Raises WorkError when a piece is no longer what was found."""
    there = place(found.units[unit], source, secrets)
    rows = int(found.fact("rows_per_piece"))
    for piece, block in _entered(there, pieces) if entered(there, source) else _streamed(there, source, pieces, skip, rows):
        if _name(block) != piece.digest:
            raise WorkError(f"{found.where} changed while it was read", hint="run the ingest again when nobody writes to it")
        yield piece, block


def _entered(there: Place, pieces: list[Piece]) -> Iterator[tuple[Piece, bytes]]:
    with there.system.open_input_file(there.path) as file:
        for piece in pieces:
            yield piece, file.read_at(piece.stop - piece.start, piece.start)


def _streamed(there: Place, source: TextFileSource, pieces: list[Piece], skip: int, rows: int) -> Iterator[tuple[Piece, bytes]]:
    wanted = {piece.start // rows: piece for piece in pieces}
    with closing(_after(text(there, source), skip)) as stream:  # type: ignore[type-var]
        for index, _, block in lines.cut(stream, rows, wanted.__contains__, quote_of(source)):
            yield wanted.pop(index), block
            if not wanted:
                return


def _after(stream: Iterator[bytes], skip: int) -> Iterator[bytes]:
    """The stream without its first bytes."""
    for chunk in stream:
        if skip < len(chunk):
            yield chunk[skip:] if skip else chunk
        skip = max(0, skip - len(chunk))


def _name(block: bytes) -> str:
    return hashlib.sha256(block).hexdigest()


def _piece(digest: object, unit: int, start: int, stop: int, number: int, first: int, rows: int) -> tuple[Piece, int]:
    return Piece(number, unit, start, stop, digest.result(), first), rows  # type: ignore[attr-defined]
