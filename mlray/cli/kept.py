"""What a version keeps sealed about itself: its statistics and what its rules found. Opened only for who holds its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mlray.errors import KeyringError
from mlray.ingest import account, stats
from mlray.ingest.histogram import Histogram
from mlray.ingest.splits import REPORT
from mlray.ingest.stats import Stats
from mlray.ingest.verdict import Finding
from mlray.vault.store import Vault
from mlray.vault.version import DatasetVersion, ModelVersion

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Kept:
    """Statistics by split, and every rule's finding; both empty where nothing was kept, or its keys are not ours."""

    merged: Stats
    findings: tuple[Finding, ...]
    columns: tuple[str, ...]

    @property
    def statistics(self) -> Mapping[str, Mapping[str, Any]]:
        """By column over all splits."""
        found = {name: stats.over_splits(self.merged, name) for name in self.columns}
        return {name: _plain(column) for name, column in found.items() if column}

    def moment(self, column: str) -> bool:
        found = stats.over_splits(self.merged, column)
        return found is not None and found["kind"] == stats.MOMENT


def kept(opened: Vault, found: DatasetVersion | ModelVersion) -> Kept:
    columns = tuple(name for name, _ in found.manifest.schema)
    if not isinstance(found, DatasetVersion) or REPORT not in found.manifest.splits:
        return Kept({}, (), columns)
    try:
        table = opened.read(found, REPORT)
    except KeyringError:
        return Kept({}, (), columns)
    return Kept(account.stats_of(table), account.findings_of(table), columns)


def instant(microseconds: float) -> str:
    """A moment as people read it, to the second."""
    return f"{EPOCH + timedelta(microseconds=round(microseconds)):%Y-%m-%dT%H:%M:%SZ}"


def _plain(column: Mapping[str, Any]) -> dict[str, Any]:
    """Of a protected column only rows and nulls; of numbers bounds, mean and bins; of others what is counted by name."""
    said = {name: column[name] for name in ("kind", "rows", "nulls", "min", "max", "mean", "values") if column.get(name) is not None}
    if not column.get("finite"):
        return {name: value for name, value in said.items() if name != "mean"}
    bins = Histogram.from_json(column["histogram"])
    edges = zip(bins.low.tolist(), bins.high.tolist(), bins.counts.tolist(), strict=True)
    return said | {"deviation": stats.deviation(dict(column)), "bins": [list(edge) for edge in edges]}
