"""diff: two versions of a dataset or a model -> what differs between them, from manifests and statistics: no row is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from mlray.vault.version import Json, Manifest, short

# Less is noise between two days: a mean that moved by this many standard deviations, nulls by this share of the rows.
MEAN_MOVED, NULLS_MOVED = 0.1, 0.01
NULLS = "share of nulls"
Statistics = Mapping[str, Mapping[str, Json]]  # column -> rows, nulls, and of numbers min, max, mean, deviation
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Column:
    """A column that only one version has (`None` in the other), or has as another type."""

    column: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Count:
    """So many before, so many after: rows of a split, or rows rejected for a reason."""

    name: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Source:
    """Something the versions were made from, by the first characters of its digest; `None` where it took no part."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Moved:
    """A statistic of a column that is no longer what it was."""

    column: str
    statistic: str
    before: float | str
    after: float | str


@dataclass(frozen=True, slots=True)
class Parts:
    """Files both versions name, files only the second one has, and files only the first one has."""

    shared: int
    new: int
    gone: int
    shared_bytes: int
    new_bytes: int
    gone_bytes: int


@dataclass(frozen=True, slots=True)
class Diff:
    """What is the same in both is left out, but for the rows of each split."""

    before: str
    after: str
    made_from: tuple[Source, ...]
    schema: tuple[Column, ...]
    rows: tuple[Count, ...]
    rejected: tuple[Count, ...]
    statistics: tuple[Moved, ...]
    parts: Parts


def diff(before: Manifest, after: Manifest, statistics: tuple[Statistics, Statistics] = ({}, {})) -> Diff:
    rows = [({split: held.rows(split) for split in held.splits}) for held in (before, after)]
    return Diff(
        short(before.name, before.digest),
        short(after.name, after.digest),
        tuple(Source(name, *map(_brief, pair)) for name, pair in _pairs(dict(before.lineage), dict(after.lineage)) if pair[0] != pair[1]),
        tuple(Column(name, *pair) for name, pair in _pairs(dict(before.schema), dict(after.schema)) if pair[0] != pair[1]),
        tuple(Count(name, a or 0, b or 0) for name, (a, b) in _pairs(*rows)),
        tuple(Count(name, a or 0, b or 0) for name, (a, b) in _pairs(dict(before.rejected), dict(after.rejected)) if a != b),
        moved(*statistics),
        parts(before, after),
    )


def parts(before: Manifest, after: Manifest) -> Parts:
    """Files are compared by name: a file is never written twice under one."""
    old, new = ({part.file: part.bytes for part in held.parts} for held in (before, after))
    shared, fresh, gone = old.keys() & new.keys(), new.keys() - old.keys(), old.keys() - new.keys()
    sizes = (sum(new[file] for file in shared), sum(new[file] for file in fresh), sum(old[file] for file in gone))
    return Parts(len(shared), len(fresh), len(gone), *sizes)


def moved(before: Statistics, after: Statistics) -> tuple[Moved, ...]:
    """Of columns that both have: nulls and means where they moved noticeably, bounds where they moved at all."""
    return tuple(found for name in before if name in after for found in _column(name, before[name], after[name]))


def _column(name: str, before: Mapping[str, Json], after: Mapping[str, Json]) -> list[Moved]:
    found = [Moved(name, bound, *pair) for bound in ("min", "max") if (pair := _both(before, after, bound)) and pair[0] != pair[1]]
    shares = [_share(held) for held in (before, after)]
    if abs(shares[1] - shares[0]) > NULLS_MOVED:
        found.append(Moved(name, NULLS, *shares))
    mean, spread = _both(before, after, "mean"), _both(before, after, "deviation")
    if mean and spread and abs(mean[1] - mean[0]) > MEAN_MOVED * max(spread):
        found.append(Moved(name, "mean", *mean))
    return found


def _share(held: Mapping[str, Json]) -> float:
    return (_number(held, "nulls") or 0.0) / (_number(held, "rows") or 1.0)


def _both(before: Mapping[str, Json], after: Mapping[str, Json], name: str) -> tuple[float, float] | None:
    first, second = _number(before, name), _number(after, name)
    return None if first is None or second is None else (first, second)


def _number(held: Mapping[str, Json], name: str) -> float | None:
    value = held.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _pairs(before: Mapping[str, T], after: Mapping[str, T]) -> list[tuple[str, tuple[T | None, T | None]]]:
    names = [*before, *(name for name in after if name not in before)]
    return [(name, (before.get(name), after.get(name))) for name in names]


def _brief(digest: str | None) -> str | None:
    return digest and digest[:12]
