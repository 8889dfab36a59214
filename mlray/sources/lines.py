"""Text of lines, cut into blocks of a fixed number of rows, so that block 7 is the same rows on every machine and in every attempt."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from mlray.errors import SpecError

NEWLINE = 10
NONE = np.zeros(0, np.int64)
LARGEST = 1 << 30  # bytes of one block: it is in memory whole, and Arrow parses at most twice as many at once


def cut(chunks: Iterable[bytes], rows: int, wanted: Callable[[int], bool], quote: str = "") -> Iterator[tuple[int, int, bytes]]:
    """(number, rows, text) of each wanted block of `rows` whole rows; the last holds the rest. Others are skipped unparsed.

    A row ends with a line; with `quote`, with a line that ends outside of quotes.
    """
    number, have, inside = 0, 0, False
    kept: list[bytes] = []
    for chunk in chunks:
        done = 0
        if not quote and have + (ended := breaks(chunk)) < rows:  # counting takes a fifth of the time of looking where they are
            ends, more = NONE, ended
        else:
            ends, inside = row_ends(chunk, quote, inside)
            more = 0
        while len(ends) + have >= rows:
            last = rows - have - 1
            end = int(ends[last]) + 1
            if wanted(number):
                yield number, rows, b"".join((*kept, memoryview(chunk)[done:end]))
            number, have, kept, done, ends = number + 1, 0, [], end, ends[last + 1 :]
        have += len(ends) + more
        if wanted(number) and sum(map(len, kept)) + len(chunk) - done > LARGEST:
            raise SpecError(
                f"{rows} rows from row {number * rows + 1} on are more than {LARGEST >> 20} MiB of text", hint="lower rows_per_part"
            )
        if wanted(number) and done < len(chunk):
            kept.append(chunk[done:] if done else chunk)
    if rest := b"".join(kept):
        yield number, have + (not rest.endswith(b"\n")), rest


def breaks(text: bytes) -> int:
    """Line ends. Three times as fast as bytes.count, which stops at each."""
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == NEWLINE))


def row_ends(chunk: bytes, quote: str, inside: bool) -> tuple[np.ndarray, bool]:
    """Where the rows of a chunk end, and whether its end lies inside of quotes. A doubled quote opens and closes, so counts for nothing."""
    text = np.frombuffer(chunk, np.uint8)
    ends = np.flatnonzero(text == NEWLINE)
    if not quote:
        return ends, False
    quotes = np.flatnonzero(text == ord(quote))
    before = np.searchsorted(quotes, ends) + inside
    return ends[before % 2 == 0], bool((len(quotes) + inside) % 2)


def recoded(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The same text in UTF-8. Raises UnicodeDecodeError."""
    decoder = codecs.getincrementaldecoder(encoding)()
    for chunk in chunks:
        yield decoder.decode(chunk).encode()
    yield decoder.decode(b"", final=True).encode()
