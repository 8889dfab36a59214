"""Which records of a stream are read next: ranges of positions by partition, and how a batch is shared out among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlray.sources.piece import Found, Piece
from mlray.sources.units import named

IDENTITY = "identity"  # the fact of a found stream that tells it from another one of the same name


@dataclass(frozen=True, slots=True)
class Range:
    """Positions start <= p < stop of one partition, numbered from 0 among its source's."""

    unit: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What a stream holds behind the offsets of the last version: what to read, and where every partition stands after it.

    Offsets are text: those of Kinesis have up to 56 digits. `gaps` is records that were deleted unread, by partition.
    """

    found: Found
    offsets: Mapping[str, str]
    gaps: Mapping[str, int]
    more: bool


def share(there: Mapping[str, int], most: int) -> dict[str, int]:
    """How many records of each partition a batch takes: equal shares, and what one leaves over goes to the others."""
    taken = dict.fromkeys(there, 0)
    left = most
    while left and (open_ := [name for name in there if taken[name] < there[name]]):
        each = max(1, left // len(open_))
        for name in sorted(open_):
            more = min(each, there[name] - taken[name], left)
            taken[name], left = taken[name] + more, left - more
    return taken


def pieces(ranges: list[Range], rows_per_piece: int, identity: str) -> tuple[Piece, ...]:
    """Cut at whole multiples, so that a stream that grows keeps the pieces that are full, and their names."""
    found: list[Piece] = []
    for there in ranges:
        start = there.start
        while start < there.stop:
            stop = min(there.stop, (start // rows_per_piece + 1) * rows_per_piece)
            found.append(Piece(len(found), there.unit, start, stop, named(identity, there.unit, start, stop), start))
            start = stop
    return tuple(found)
