"""Files of lines: found with one scan that counts, names and cuts them; read piece by piece.

An edge. A plain file is entered where a piece begins. A packed one, or one in UTF-16, cannot be: it is streamed once for
all the pieces a task reads, and the others are skipped unparsed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

from mlray.errors import WorkError
from mlray.sources import lines
from mlray.sources.contents import chunks
from mlray.sources.files import CsvSource, TextFileSource
from mlray.sources.piece import Found, Piece
from mlray.sources.places import Place
from mlray.sources.units import Cut

HEAD = 1 << 20


def entered(there: Place, source: TextFileSource) -> bool:
    """Whether the file can be entered in the middle."""
    return not there.packed and source.encoding != "utf-16"


def quote_of(source: TextFileSource) -> str:
    return source.quote if isinstance(source, CsvSource) and source.multiline else ""


def text(there: Place, source: TextFileSource) -> Generator[bytes, None, None]:
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
    with closing(text(there, source)) as stream:
        for chunk in stream:
            begun += chunk
            if b"\n" in chunk or len(begun) > HEAD:
                break
    return begun[: begun.find(b"\n") + 1] if b"\n" in begun else begun


def sample(there: Place, source: TextFileSource) -> bytes:
    """The first whole lines: about a MiB, or one line if it is longer."""
    begun: list[bytes] = []
    size = 0
    with closing(text(there, source)) as stream:
        for chunk in stream:
            begun.append(chunk)
            size += len(chunk)
            if size >= HEAD and b"\n" in chunk:
                break
        else:
            return b"".join(begun)
    whole = b"".join(begun)
    return whole[: whole.rfind(b"\n") + 1]


def utf8(block: bytes, source: TextFileSource, where: str, first: int) -> bytes:
    """A block in UTF-8. Raises WorkError with the line that is not; UTF-16 was recoded as it was streamed."""
    if source.encoding == "latin-1":
        return block.decode("latin-1").encode()
    try:
        block.decode()
    except UnicodeDecodeError as error:
        line = first + block.count(b"\n", 0, error.start)
        raise WorkError(f"{where}:{line}: not UTF-8 text", hint="declare its encoding, or correct the file") from None
    return block


def scan(there: Place, source: TextFileSource, rows: int, skip: int) -> Iterator[Cut]:
    """The pieces of one file after `skip` bytes of a header. Hashing goes on beside, in a second thread."""
    offset, first = skip, 2 if skip else 1
    with ThreadPoolExecutor(1) as beside, closing(_after(text(there, source), skip)) as stream:
        before = None
        for index, count, block in lines.cut(stream, rows, lambda _: True, quote_of(source)):
            bounds = (offset, offset + len(block)) if entered(there, source) else (index * rows, index * rows + count)
            now = (Cut(*bounds, first + index * rows, count), beside.submit(_name, block))
            if before:
                yield replace(before[0], digest=before[1].result())
            before, offset = now, offset + len(block)
        if before:
            yield replace(before[0], digest=before[1].result())


def blocks(there: Place, source: TextFileSource, pieces: list[Piece], skip: int, found: Found) -> Iterator[tuple[Piece, bytes]]:
    """(piece, its text) of one file, in order. Raises WorkError when the file has become shorter.

    Other changes are told by `unchanged` once all is read, from size and time of change: to hash each piece again would cost
    as much as a tenth of the whole ingest.
    """
    for piece, block in cut_blocks(there, source, pieces, skip, int(found.fact("rows_per_piece"))):
        if entered(there, source) and len(block) != piece.stop - piece.start:
            raise WorkError(f"{found.where} changed while it was read", hint="run the ingest again when nobody writes to it")
        yield piece, block


def cut_blocks(there: Place, source: TextFileSource, pieces: list[Piece], skip: int, rows: int) -> Iterator[tuple[Piece, bytes]]:
    return _entered(there, pieces) if entered(there, source) else _streamed(there, source, pieces, skip, rows)


def _entered(there: Place, pieces: list[Piece]) -> Iterator[tuple[Piece, bytes]]:
    with there.system.open_input_file(there.path) as file:
        for piece in pieces:
            yield piece, file.read_at(piece.stop - piece.start, piece.start)


def _streamed(there: Place, source: TextFileSource, pieces: list[Piece], skip: int, rows: int) -> Iterator[tuple[Piece, bytes]]:
    wanted = {piece.start // rows: piece for piece in pieces}
    with closing(_after(text(there, source), skip)) as stream:
        for index, _, block in lines.cut(stream, rows, wanted.__contains__, quote_of(source)):
            yield wanted.pop(index), block
            if not wanted:
                return


def _after(stream: Iterator[bytes], skip: int) -> Generator[bytes, None, None]:
    """The stream without its first bytes."""
    for chunk in stream:
        if skip < len(chunk):
            yield chunk[skip:] if skip else chunk
        skip = max(0, skip - len(chunk))


def _name(block: bytes) -> str:
    return hashlib.sha256(block).hexdigest()
