"""The chain of versions a stream makes: where each partition stands, what time it is there, and what the next version is named by.

All of it is in the signed manifest, so it becomes true in the one step that makes the version exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mlray.errors import SpecError
from mlray.ingest.checks import Counts
from mlray.ingest.stream import Follow, Window
from mlray.vault.version import Json, Lineage, Manifest, Part, digest_json, short

OFFSETS, STREAM = "offsets", "stream"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Schema = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """What the latest version says: the next batch begins here. Times are microseconds since 1970."""

    offsets: Mapping[str, str] = field(default_factory=dict)
    batch: int = 0  # batches before this one
    blocks: int = 0  # pieces before this one; the next piece's number names its parts
    watermark: int | None = None
    newest: Mapping[str, int] = field(default_factory=dict)
    late: int = 0
    gaps: Mapping[str, int] = field(default_factory=dict)
    identity: str = ""  # of the stream: another one of the same name is not gone on with


def standing(latest: Manifest | None, source: str, follow: Follow, schema: Schema) -> Standing:
    """Raises SpecError when the dataset's latest version is not one that this job can go on from."""
    if latest is None:
        return Standing()
    what, elsewhere = short(latest.name, latest.digest), "write another name under dataset"
    offsets, told = latest.about.get(OFFSETS), latest.about.get(STREAM)
    if not isinstance(offsets, dict) or not isinstance(told, dict):
        raise SpecError(f"{what} was not made by following a stream, so there is no offset to go on from", hint=elsewhere)
    if source not in offsets:
        raise SpecError(f"{what} follows {', '.join(offsets)}, not {source}", hint=elsewhere)
    if latest.schema != schema:
        raise SpecError(f"{what} has other columns than this job makes, and a stream goes on with the same", hint=elsewhere)
    _same_windows(told.get("windows"), follow, what)
    return Standing(
        _texts(offsets[source]),
        _whole(told["batch"]),
        _whole(told["blocks"]),
        _moment(told["watermark"]),
        {name: moment for name, at in _texts(told["newest"]).items() if (moment := _moment(at)) is not None},
        _whole(told["late"]),
        {name: _whole(count) for name, count in _mapping(told["gaps"]).items()},
        str(told["identity"]),
    )


def same_stream(now: Standing, identity: str, where: str) -> None:
    """Raises SpecError when the stream was deleted and made anew: its offsets say nothing about the old one's."""
    if now.identity and now.identity != identity:
        raise SpecError(f"{where} was made anew since the latest version", hint="write another name under dataset")


def tell(now: Standing, source: str, follow: Follow) -> dict[str, Json]:
    """A standing as a manifest keeps it; `standing` reads it back."""
    return {
        OFFSETS: {source: dict(now.offsets)},
        STREAM: {
            "batch": now.batch,
            "blocks": now.blocks,
            "watermark": _told(now.watermark),
            "newest": {name: _told(at) for name, at in now.newest.items()},
            "late": now.late,
            "gaps": dict(now.gaps),
            "identity": now.identity,
            "windows": {window.name: identity(window) for window in follow.windows},
        },
    }


def lineage(own: Lineage, previous: str) -> Lineage:
    """What a version is named by: the version before, and the ranges, spec and code that make it differ."""
    return tuple(sorted((*own, ("previous", previous or digest_json(None)))))


def identity(window: Window) -> str:
    """Names what a window computes; its state means nothing to another one."""
    return digest_json(window.model_dump(mode="json"))


def add(before: Mapping[str, Json], found: Mapping[str, Json]) -> dict[str, Json]:
    """What a manifest tells of all rows so far: counts are added up, periods put together."""
    warned, positives = (_added(before.get(name), found.get(name)) for name in ("warned", "positives"))
    periods = {split: list(_texts_of(ends)) for split, ends in _mapping(before.get("periods")).items()}
    for split, ends in _mapping(found.get("periods")).items():
        both = [*periods.get(split, []), *_texts_of(ends)]
        periods[split] = [min(both), max(both)]
    rows = _whole(before.get("rows_read", 0)) + _whole(found.get("rows_read", 0))
    return {**found, "rows_read": rows, "warned": {**warned}, "positives": {**positives}, "periods": {k: [*v] for k, v in periods.items()}}


def small(parts: Sequence[Part], rows_per_part: int, more_than: int) -> dict[str, tuple[Part, ...]]:
    """The parts of each split that are to be merged: those not half full, where there are too many of them."""
    found: dict[str, list[Part]] = {}
    for part in sorted(parts, key=lambda part: part.name):
        if part.rows < rows_per_part // 2:
            found.setdefault(part.split, []).append(part)
    return {split: tuple(there) for split, there in found.items() if len(there) > more_than}


def counts(before: Sequence[tuple[str, int]], found: Counts) -> Counts:
    """Rejected rows so far."""
    total = dict(before)
    for reason, rows in found.items():
        total[reason] = total.get(reason, 0) + rows
    return total


def _same_windows(told: Json, follow: Follow, what: str) -> None:
    before = _mapping(told)
    if changed := [window.name for window in follow.windows if before.get(window.name, identity(window)) != identity(window)]:
        raise SpecError(f"windows: {', '.join(changed)} is computed otherwise in {what}", hint="give the new window another name")


def _added(before: Json, found: Json) -> dict[str, Json]:
    total = dict(_mapping(before))
    for name, count in _mapping(found).items():
        total[name] = _whole(total.get(name, 0)) + _whole(count)
    return total


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _texts(value: Json) -> dict[str, str]:
    return {name: str(text) for name, text in _mapping(value).items()}


def _texts_of(value: Json) -> list[str]:
    return [str(text) for text in value] if isinstance(value, list) else []


def _whole(value: Json) -> int:
    return value if isinstance(value, int) else 0


def _moment(value: Json) -> int | None:
    return (datetime.fromisoformat(value) - EPOCH) // timedelta(microseconds=1) if isinstance(value, str) else None


def _told(value: int | None) -> str | None:
    return None if value is None else (EPOCH + timedelta(microseconds=value)).isoformat()
