"""What `mlray data show` tells of a version, from its manifest and the account it keeps; no row is opened for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mlray.cli.kept import Kept, instant
from mlray.ingest.splits import aside
from mlray.vault.version import DatasetVersion, Json, Manifest, ModelVersion, Part


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its type as sealed (None where it was dropped), what it was classed as, and what was done to protect it."""

    column: str
    type: str | None
    classed: str | None
    protection: str | None
    nulls: str | None = None
    min: str | None = None
    mean: str | None = None
    max: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """What one rule found when the version was made, as a sentence; `on_fail` is what it does where it does not hold."""

    found: str
    held: bool
    on_fail: str


@dataclass(frozen=True, slots=True)
class Change:
    """How a source differs from what was declared, or this version from the one before it."""

    of: str
    what: str
    columns: tuple[str, ...]


def about(found: DatasetVersion | ModelVersion, tags: Sequence[str], kept: Kept) -> dict[str, Any]:
    """Its facts by name; what the manifest says beyond them is under `about`."""
    held, rest = found.manifest, dict(found.manifest.about)
    classes, protection = (_mapping(rest.pop(name, None)) for name in ("classes", "protection"))
    facts = {
        "version": str(found),
        "digest": found.digest,
        "created": held.created,
        "tags": list(tags),
        "rows": {split: held.rows(split) for split in held.splits if split and not aside(split)},
        "rejected": dict(held.rejected),
        "bytes": sum(part.bytes for part in held.parts),
        "parts": len(held.parts),
        "shared_parts": sum(not own(part, held) for part in held.parts),
        "keep": rest.pop("keep", None),
        "checks": tuple(Check(one.said, one.held, one.on_fail.value) for one in kept.findings) or None,
        "subject": rest.pop("subject", None),
        "evolution": tuple(_evolution(_mapping(rest.pop("evolution", None)))) or None,
        "columns": tuple(
            Column(name, kind, _said(classes.get(name)), _said(protection.get(name)), *_measured(kept, name))
            for name, kind in _columns(held, protection)
        ),
        "statistics": kept.statistics or None,
        "schema": dict(held.schema),
        "lineage": dict(held.lineage),
    }
    return facts | {"about": rest}


def own(part: Part, held: Manifest) -> bool:
    """Whether the file was sealed for this version, and not for one before it."""
    return part.file.startswith(f"{held.digest}/")


def rows(held: Manifest) -> int:
    """Rows to train and measure on."""
    return sum(held.rows(split) for split in held.splits if not aside(split))


def _columns(held: Manifest, protection: dict[str, Json]) -> list[tuple[str, str | None]]:
    """Those that were sealed, then those that were dropped."""
    sealed = dict(held.schema)
    return [*sealed.items(), *((name, None) for name in protection if name not in sealed)]


def _measured(kept: Kept, name: str) -> tuple[str | None, ...]:
    """Share of nulls, smallest, mean, largest, as text: a column has moments or numbers."""
    held = kept.statistics.get(name)
    if held is None:
        return (None,) * 4
    nulls = f"{held['nulls'] / held['rows']:.2%}" if held["rows"] else None
    told = instant if kept.moment(name) else "{:.6g}".format
    return (nulls, *(told(held[which]) if which in held else None for which in ("min", "mean", "max")))


def _evolution(said: dict[str, Json]) -> Iterator[Change]:
    """What `mlray.ingest.evolve` wrote down, a line for each kind of change."""
    since = _mapping(said.get("since"))
    by_name = {f"source {name}": _mapping(what) for name, what in _mapping(said.get("declared")).items()}
    for of, changes in {**by_name, f"since {since.pop('version', '')}": since}.items():
        for what, columns in changes.items():
            if columns:
                yield Change(of, what.replace("_", " "), tuple(_named(columns)))


def _named(columns: Json) -> Iterator[str]:
    """Names, or names with the type before and after."""
    if isinstance(columns, dict):
        yield from (f"{name} {' to '.join(map(str, types))}" for name, types in columns.items() if isinstance(types, list))
    elif isinstance(columns, list):
        yield from map(str, columns)


def _mapping(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _said(value: Json) -> str | None:
    """`mask`, or `mask, keep 4` of a longer way to write it."""
    if isinstance(value, dict):
        more = [f"{name} {said}" for name, said in value.items() if name != "how" and said not in (None, [], 0)]
        return ", ".join([str(value.get("how", "")), *more])
    return None if value is None else str(value)
