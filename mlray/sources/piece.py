"""Found and Piece: what a source holds now, and how it is cut into what is read at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Piece:
    """What is read at once and sealed as one block: the same rows in every attempt, on every machine."""

    number: int
    unit: int  # index into Found.units: which file, shard or partition
    start: int  # what the format counts: bytes, lines, row groups, key bounds, offsets
    stop: int
    digest: str = ""  # names exactly these rows; "" where that has no name of its own
    first: int = 1  # where its first row stands in the unit, counted from 1 with a header


@dataclass(frozen=True, slots=True)
class Found:
    """A source as it lies there now."""

    name: str
    where: str  # what it is called in messages
    units: tuple[str, ...]
    digest: str  # names exactly these rows
    columns: tuple[tuple[str, str], ...]  # name there, ColumnType or "other": what the source really has
    pieces: tuple[Piece, ...]
    rows: int
    changed: datetime | None = None
    facts: tuple[tuple[str, str], ...] = ()

    def fact(self, name: str) -> str:
        return dict(self.facts).get(name, "")

    def place(self, unit: int) -> str:
        """What a unit is called in messages: its file's name beside the source's, where there are several."""
        return self.where if len(self.units) == 1 else f"{self.where}, {self.units[unit].rpartition('/')[2]}"
