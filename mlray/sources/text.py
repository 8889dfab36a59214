"""Text files: a row a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from mlray.errors import WorkError
from mlray.sources import contents, filed, line_files, typed
from mlray.sources.files import TextSource
from mlray.sources.piece import Found, Piece
from mlray.sources.places import Place, Secrets, none
from mlray.sources.shape import shape
from mlray.sources.units import Unit, named

unchanged = contents.unchanged


def find(name: str, source: TextSource, base: Path, rows_per_piece: int, secrets: Secrets = none) -> Found:
    def look(there: Place) -> Unit:
        cuts = tuple(line_files.scan(there, source, rows_per_piece, 0))
        return Unit(there.uri, {"text": "text"}, named(*(cut.digest for cut in cuts)), cuts)

    return filed.find(name, source, base, secrets, look, ("rows_per_piece", str(rows_per_piece)))


def read(found: Found, source: TextSource, pieces: Sequence[Piece], secrets: Secrets = none) -> Iterator[tuple[Piece, pa.Table]]:
    taken = shape(source, dict(found.columns), found.where)
    for unit, there, group in filed.by_file(found, source, pieces, secrets):
        for piece, block in line_files.blocks(there, source, group, 0, found):
            table = pa.table({"text": split(line_files.utf8(block, source, found.place(unit), piece.first))})
            yield piece, typed.numbered(typed.finish(table, taken, source.nulls, found.place(unit), piece.first), piece.first)


def split(block: bytes) -> pa.Array:
    """The lines of UTF-8 text, without what ends them."""
    if len(block) >= 1 << 31:
        raise WorkError("a piece of more than 2 GiB of text cannot be read at once", hint="lower rows_per_part")
    whole = pa.array([block.removesuffix(b"\n").decode()])
    found = pc.split_pattern(whole, "\n").flatten()
    return pc.replace_substring_regex(found, r"\r$", "") if b"\r\n" in block else found
