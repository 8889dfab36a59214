"""The report of a version as plain values, the same for the terminal, JSON and the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from mlray.ingest import stats
from mlray.ingest.histogram import Histogram
from mlray.ingest.split import TEST, TRAIN, VALIDATION
from mlray.ingest.splits import aside
from mlray.ingest.stats import Column, Stats
from mlray.ingest.verdict import Finding
from mlray.vault.version import DatasetVersion

FIRST = (TRAIN, VALIDATION, TEST)
TOP = 12  # values shown of a column


def summary(version: DatasetVersion, merged: Stats, findings: Sequence[Finding]) -> dict[str, Any]:
    """Everything the report says. Columns in the order of the schema, splits by name."""
    held, about = version.manifest, version.manifest.about
    rejected = dict(sorted(held.rejected, key=lambda entry: (-entry[1], entry[0])))
    rows = {split: held.rows(split) for split in ordered(held.splits) if not aside(split)}
    return {
        "version": str(version),
        "digest": version.digest,
        "created": held.created.isoformat(),
        "job": about.get("job"),
        "owner": about.get("owner"),
        "rows_read": about.get("rows_read"),
        "bytes": sum(part.bytes for part in held.parts),
        "parts": len(held.parts),
        "splits": [_split(split, rows[split], about) for split in rows],
        "rejected": rejected,
        "warned": about.get("warned") or {},
        "checks": [{"rule": f.rule, "held": f.held, "on_fail": f.on_fail.value, "said": f.said} for f in findings],
        "columns": [_column(name, kind, merged, about) for name, kind in held.schema],
        "evolution": about.get("evolution") or {},
        "lineage": dict(held.lineage),
    }


def ordered(splits: Iterable[str]) -> list[str]:
    """Train, validation and test as they are used, others by name."""
    return sorted(splits, key=lambda split: (FIRST.index(split) if split in FIRST else len(FIRST), split))


def _split(split: str, rows: int, about: Mapping[str, Any]) -> dict[str, Any]:
    first, last = (about.get("periods") or {}).get(split, (None, None))
    return {"split": split, "rows": rows, "first": first, "last": last, "positives": (about.get("positives") or {}).get(split)}


def _column(name: str, kind: str, merged: Stats, about: Mapping[str, Any]) -> dict[str, Any]:
    protection = (about.get("protection") or {}).get(name)
    splits = {split: merged[split]["columns"][name] for split in ordered(merged) if name in merged[split]["columns"]}
    whole = stats.over_splits(merged, name)
    return {
        "column": name,
        "type": kind,
        "class": (about.get("classes") or {}).get(name),
        "protection": protection["how"] if protection else None,
        "all": facts_of(whole) if whole else None,
        "splits": {split: facts_of(found) for split, found in splits.items()},
    }


def facts_of(found: Column) -> dict[str, Any]:
    """What people read of a column's statistics."""
    facts: dict[str, Any] = {"rows": found["rows"], "missing": found["nulls"] / found["rows"] if found["rows"] else None}
    if found["kind"] in (stats.NUMBER, stats.MOMENT):
        middle, spread = (found["mean"] if found["finite"] else None), stats.deviation(found)
        ends = {"min": found["min"], "max": found["max"], "mean": middle}
        if found["kind"] == stats.MOMENT:
            return facts | {name: _moment(value) for name, value in ends.items()}
        return facts | ends | {"std": spread, "not_finite": found["rows"] - found["nulls"] - found["finite"]}
    if found["kind"] == stats.VALUE:
        values = found["values"]
        distinct = f"more than {stats.VALUES}" if values is None else len(values) if found["every"] == 1 else f"at least {len(values)}"
        top = sorted(values.items(), key=lambda item: (-item[1], item[0]))[:TOP] if values is not None else None
        return facts | {"distinct": distinct, "top": top}
    return facts


def histogram_of(found: Column) -> Histogram:
    return Histogram.from_json(found["histogram"])


def _moment(micros: float | None) -> str | None:
    return None if micros is None else (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)).strftime("%Y-%m-%d %H:%M:%S")
