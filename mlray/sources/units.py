"""Units: what each file of a source holds, and all of them together as one Found."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from mlray.sources.base import SourceBase
from mlray.sources.piece import Found, Piece
from mlray.sources.shape import shape


@dataclass(frozen=True, slots=True)
class Cut:
    """A piece before it has its number: from where to where, where its first row stands, and how many rows about."""

    start: int
    stop: int
    first: int
    rows: int
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Unit:
    """One file: its columns, the name of its bytes, and its pieces."""

    uri: str
    columns: dict[str, str]
    digest: str
    cuts: tuple[Cut, ...]


def together(
    name: str, where: str, source: SourceBase, units: Sequence[Unit], changed: datetime | None, facts: tuple[tuple[str, str], ...]
) -> Found:
    """All files as one source. Raises SpecError naming the file whose columns its rules refuse."""
    several = len(units) > 1
    for unit in units:
        shape(source, unit.columns, f"{where}, {unit.uri.rpartition('/')[2]}" if several else where)
    columns = union(unit.columns for unit in units)
    shape(source, columns, where)
    pieces: list[Piece] = []
    for at, unit in enumerate(units):
        for cut in unit.cuts:
            digest = cut.digest or named(unit.digest, cut.start, cut.stop)
            pieces.append(Piece(len(pieces), at, cut.start, cut.stop, digest, cut.first))
    rows = sum(cut.rows for unit in units for cut in unit.cuts)
    digest = named(*(unit.digest for unit in units))
    return Found(name, where, tuple(unit.uri for unit in units), digest, tuple(columns.items()), tuple(pieces), rows, changed, facts)


def union(many: Iterable[dict[str, str]]) -> dict[str, str]:
    """Every column of any file. Whole and broken numbers together are broken ones; types that do not go together are none."""
    found: dict[str, str] = {}
    for columns in many:
        for name, kind in columns.items():
            before = found.setdefault(name, kind)
            if "null" in (before, kind):
                found[name] = kind if before == "null" else before
            elif before != kind:
                found[name] = "float" if {before, kind} == {"int", "float"} else "other"
    return found


def grouped(rows: Sequence[int], most: int) -> tuple[Cut, ...]:
    """Neighbours (row groups, stripes, blocks) put together as long as they hold `most` rows at most; one alone may hold more."""
    cuts: list[Cut] = []
    start = held = before = 0
    for at, count in enumerate(rows):
        if at > start and held + count > most:
            cuts.append(Cut(start, at, before + 1, held))
            start, held, before = at, 0, before + held
        held += count
    return (*cuts, Cut(start, len(rows), before + 1, held)) if held else tuple(cuts)


def named(*parts: object) -> str:
    """SHA-256 that names several things together."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()
