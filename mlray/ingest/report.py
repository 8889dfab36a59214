"""What comes back of a block: its parts and a few counts, never a row. And what a whole ingest came to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from mlray import errors
from mlray.errors import MlrayError, WorkError
from mlray.ingest.checks import Counts
from mlray.ingest.refine import REJECTED
from mlray.ledger.entry import Usage
from mlray.vault.version import DatasetVersion, Json, Part


@dataclass(frozen=True, slots=True)
class BlockReport:
    """One block, sealed. `periods` is (first, last) value of the split column by split, ISO 8601; `positives` rows with label 1."""

    block: int
    rows: int
    parts: tuple[Part, ...]
    rejected: Counts
    warned: Counts
    periods: dict[str, tuple[str, str]]
    positives: dict[str, int]
    usage: Usage

    def to_json(self) -> str:
        return json.dumps({"report": asdict(self)})


def failure(error: MlrayError) -> str:
    """An error as a line that can come back like a report: Ray would log the traceback of one that is raised."""
    return json.dumps({"failure": [type(error).__name__, error.message, error.hint]})


def from_json(line: str) -> BlockReport:
    """The report. Raises the error, if that is what came back."""
    value = json.loads(line)
    if "failure" in value:
        kind, message, hint = value["failure"]
        raise getattr(errors, kind, WorkError)(message, hint=hint)
    fields = value["report"]
    fields["parts"] = tuple(map(Part.from_json, fields["parts"]))
    fields["periods"] = {split: (first, last) for split, (first, last) in fields["periods"].items()}
    return BlockReport(**(fields | {"usage": Usage(**fields["usage"])}))


@dataclass(frozen=True, slots=True)
class Ingested:
    """A dataset version, and how it came about; `reused` when it was there already. `usages` is (key, what a task used)."""

    version: DatasetVersion
    rows_read: int
    rows_kept: int
    rejected: tuple[tuple[str, int], ...]
    usages: tuple[tuple[str, Usage], ...]
    reused: bool

    @classmethod
    def found(cls, version: DatasetVersion, usages: tuple[tuple[str, Usage], ...] = (), reused: bool = True) -> Ingested:
        manifest = version.manifest
        kept = sum(part.rows for part in manifest.parts if part.split != REJECTED)
        return cls(version, kept + sum(rows for _, rows in manifest.rejected), kept, manifest.rejected, usages, reused)


@dataclass(frozen=True, slots=True)
class Totals:
    """All blocks of an ingest together."""

    parts: tuple[Part, ...]
    rejected: Counts
    about: dict[str, Json]


def total(reports: Iterable[BlockReport]) -> Totals:
    """Raises WorkError when a block between the first and the last one is missing."""
    found = {report.block: report for report in reports}
    if lost := sorted(set(range(len(found))) - found.keys()):
        raise WorkError(f"block {lost[0]} did not come back", hint="run the ingest again; nothing was committed")
    ordered = [found[block] for block in sorted(found)]
    rejected, warned, positives = Counter[str](), Counter[str](), Counter[str]()
    for report in ordered:
        rejected.update(report.rejected)
        warned.update(report.warned)
        positives.update(report.positives)
    about: dict[str, Json] = {
        "rows_read": sum(report.rows for report in ordered),
        "warned": dict(warned),
        "positives": dict(positives),
        "periods": {split: list(_period(ordered, split)) for split in sorted({s for r in ordered for s in r.periods})},
    }
    return Totals(tuple(part for report in ordered for part in report.parts), dict(rejected), about)


def _period(reports: list[BlockReport], split: str) -> tuple[str, str]:
    periods = [report.periods[split] for report in reports if split in report.periods]
    return min(first for first, _ in periods), max(last for _, last in periods)
