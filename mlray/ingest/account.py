"""The account of a version: its statistics and findings as a table, which is sealed with it as the split `report`.

A manifest is signed and not encrypted, and a histogram of salaries is data; so none of this stands there.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Protocol

import pyarrow as pa

from mlray.ingest import stats
from mlray.ingest.rules import OnWhole
from mlray.ingest.splits import REPORT
from mlray.ingest.stats import Stats
from mlray.ingest.verdict import Finding, Verdict
from mlray.vault.version import DatasetVersion

FINDING = "_finding"  # stands as column of the rows that hold what a rule found
SCHEMA = pa.schema([("split", pa.string()), ("column", pa.string()), ("statistic", pa.string())])


class Readable(Protocol):
    """What a vault can do."""

    def read(self, dataset: DatasetVersion, split: str) -> pa.Table: ...


def of(vault: Readable, version: DatasetVersion) -> tuple[Stats, tuple[Finding, ...]]:
    """The statistics and findings of a version; none where it has no report."""
    if REPORT not in version.manifest.splits:
        return {}, ()
    kept = vault.read(version, REPORT)
    return stats_of(kept), findings_of(kept)


def table(merged: Stats, verdict: Verdict) -> pa.Table:
    """One row for each column of each split, one for each split, and one for each finding."""
    findings = [("", FINDING, json.dumps(asdict(finding))) for finding in verdict.findings]
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in (*stats.to_rows(merged), *findings)], SCHEMA)


def stats_of(kept: pa.Table) -> Stats:
    return stats.from_rows([row for row in _rows(kept) if row[1] != FINDING])


def findings_of(kept: pa.Table) -> tuple[Finding, ...]:
    found = [json.loads(text) for _, column, text in _rows(kept) if column == FINDING]
    return tuple(Finding(**(finding | {"on_fail": OnWhole(finding["on_fail"])})) for finding in found)


def _rows(kept: pa.Table) -> list[tuple[str, str, str]]:
    return list(zip(*(kept[name].to_pylist() for name in SCHEMA.names), strict=True))
