"""diff: two versions of a dataset or a model -> what differs between them, from their manifests alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from mlray.vault.version import Json, Manifest, short

# A mean that moved less than this share of the column's range, or a share of nulls by less, is noise between two days.
MOVED = 0.01
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
    before: float | None
    after: float | None


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


def diff(before: Manifest, after: Manifest) -> Diff:
    rows = [({split: held.rows(split) for split in held.splits}) for held in (before, after)]
    return Diff(
        short(before.name, before.digest),
        short(after.name, after.digest),
        tuple(Source(name, *map(_brief, pair)) for name, pair in _pairs(dict(before.lineage), dict(after.lineage)) if pair[0] != pair[1]),
        tuple(Column(name, *pair) for name, pair in _pairs(dict(before.schema), dict(after.schema)) if pair[0] != pair[1]),
        tuple(Count(name, a or 0, b or 0) for name, (a, b) in _pairs(*rows)),
        tuple(Count(name, a or 0, b or 0) for name, (a, b) in _pairs(dict(before.rejected), dict(after.rejected)) if a != b),
        moved(_columns(before), _columns(after)),
        parts(before, after),
    )


def parts(before: Manifest, after: Manifest) -> Parts:
    """Files are compared by name: a file is never written twice under one."""
    old, new = ({part.file: part.bytes for part in held.parts} for held in (before, after))
    shared, fresh, gone = old.keys() & new.keys(), new.keys() - old.keys(), old.keys() - new.keys()
    sizes = (sum(new[file] for file in shared), sum(new[file] for file in fresh), sum(old[file] for file in gone))
    return Parts(len(shared), len(fresh), len(gone), *sizes)


def moved(before: Mapping[str, Json], after: Mapping[str, Json]) -> tuple[Moved, ...]:
    """Of columns that both have: the share of nulls and the mean where they moved noticeably, the bounds where they moved at all."""
    both = [name for name in before if name in after]
    return tuple(found for name in both for found in _column(name, _dict(before[name]), _dict(after[name])))


def _column(name: str, before: Mapping[str, Json], after: Mapping[str, Json]) -> list[Moved]:
    found = [
        Moved(name, bound, *pair) for bound in ("min", "max") if (pair := (_number(before, bound), _number(after, bound))) if _differ(pair)
    ]
    nulls, means = (_nulls(before), _nulls(after)), (_number(before, "mean"), _number(after, "mean"))
    if None not in nulls and abs((nulls[1] or 0) - (nulls[0] or 0)) > MOVED:
        found.append(Moved(name, "nulls", *nulls))
    width = max(_width(before), _width(after))
    if None not in means and abs((means[1] or 0) - (means[0] or 0)) > MOVED * width:
        found.append(Moved(name, "mean", *means))
    return found


def _nulls(held: Mapping[str, Json]) -> float | None:
    count, nulls = _number(held, "count"), _number(held, "nulls")
    return nulls / count if count and nulls is not None else None


def _width(held: Mapping[str, Json]) -> float:
    low, high = _number(held, "min"), _number(held, "max")
    return high - low if low is not None and high is not None else 0.0


def _differ(pair: tuple[float | None, float | None]) -> bool:
    return pair[0] != pair[1] and None not in pair


def _number(held: Mapping[str, Json], name: str) -> float | None:
    value = held.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _columns(held: Manifest) -> Mapping[str, Json]:
    return _dict(held.about.get("stats"))


def _dict(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _pairs(before: Mapping[str, T], after: Mapping[str, T]) -> list[tuple[str, tuple[T | None, T | None]]]:
    names = [*before, *(name for name in after if name not in before)]
    return [(name, (before.get(name), after.get(name))) for name in names]


def _brief(digest: str | None) -> str | None:
    return digest and digest[:12]
