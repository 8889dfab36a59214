"""What comes back of a piece: its parts and a few counts, never a row. And what a whole ingest came to."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace

from mlray import errors
from mlray.errors import MlrayError, WorkError
from mlray.ingest.checks import Counts
from mlray.ingest.splits import PIECES as PIECES
from mlray.ledger.entry import Usage
from mlray.vault.version import DatasetVersion, Json, Part


@dataclass(frozen=True, slots=True)
class BlockReport:
    """One piece, sealed. `periods` is (first, last) value of the split column by split, ISO 8601; `positives` rows with label 1.

    `stats` and `sketch` are its share of the statistics and of the verdict on all pieces.
    `work` names what it was made from, `attempt` this making of it. `seen` is the newest time of the column that tells late rows.
    """

    block: int
    rows: int
    parts: tuple[Part, ...]
    rejected: Counts
    warned: Counts
    periods: dict[str, tuple[str, str]]
    positives: dict[str, int]
    usage: Usage
    stats: dict[str, Json] = field(default_factory=dict)
    sketch: dict[str, Json] = field(default_factory=dict)
    work: str = ""
    attempt: str = ""
    seen: str = ""

    def to_json(self) -> str:
        # Not asdict of the whole: it copies the statistics number by number, 3 ms a piece.
        flat = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps({"report": flat | {"parts": [asdict(part) for part in self.parts], "usage": asdict(self.usage)}})

    def placed(self, block: int) -> BlockReport:
        """The same piece as another block of another version: it was sealed already, so it is used for no time."""
        parts = tuple(replace(part, name=part_name(part.split, block)) for part in self.parts)
        return replace(self, block=block, parts=parts, usage=replace(self.usage, seconds=0.0))


def part_name(split: str, block: int) -> str:
    return f"{split}-{block:05d}"


def failure(error: MlrayError) -> str:
    """An error as a line that can come back like a report: Ray would log the traceback of one that is raised."""
    return json.dumps({"failure": [type(error).__name__, error.message, error.hint]})


def from_json(line: str | bytes) -> BlockReport:
    """The report. Raises the error, if that is what came back."""
    value = json.loads(line)
    if "failure" in value:
        kind, message, hint = value["failure"]
        raise getattr(errors, kind, WorkError)(message, hint=hint)
    fields = value["report"]
    fields["parts"] = tuple(map(Part.from_json, fields["parts"]))
    fields["periods"] = {split: (first, last) for split, (first, last) in fields["periods"].items()}
    return BlockReport(**(fields | {"usage": Usage(**fields["usage"])}))


def kept_lines(reports: Sequence[BlockReport]) -> list[str]:
    """The reports as a version keeps them; its manifest names the parts."""
    return [replace(found, parts=()).to_json() for found in reports]


def with_parts(lines: Iterable[str], parts: Iterable[Part]) -> dict[str, BlockReport]:
    """The reports of a version by their work, each with its parts again."""
    by_work: dict[str, list[Part]] = {}
    for part in parts:
        by_work.setdefault(part.work, []).append(part)
    reports = [from_json(line) for line in lines]
    return {found.work: replace(found, parts=tuple(by_work.get(found.work, ()))) for found in reports if found.work}


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
        read = manifest.about.get("rows_read", 0)
        assert isinstance(read, int)
        return cls(version, read, read - sum(rows for _, rows in manifest.rejected), manifest.rejected, usages, reused)


@dataclass(frozen=True, slots=True)
class Totals:
    """All pieces of an ingest together."""

    parts: tuple[Part, ...]
    rejected: Counts
    about: dict[str, Json]


def total(reports: Iterable[BlockReport]) -> Totals:
    """Raises WorkError when a piece between the first and the last one is missing."""
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


def newest(reports: Iterable[BlockReport], before: str = "") -> str:
    """The newest time any version has seen, ISO 8601; "" when none has."""
    return max([before, *(found.seen for found in reports)])


def _period(reports: list[BlockReport], split: str) -> tuple[str, str]:
    periods = [report.periods[split] for report in reports if split in report.periods]
    return min(first for first, _ in periods), max(last for _, last in periods)
