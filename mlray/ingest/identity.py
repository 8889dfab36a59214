"""What names a dataset version before any row is read, and what names the work on one piece: digests of all they are made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from mlray.ingest.pieces import Cut
from mlray.ingest.spec import IngestJob
from mlray.policy.job import JobSpec
from mlray.sources.piece import Found
from mlray.vault.version import Lineage, Manifest, digest_json

# Fields about the run and not the rows: another owner, budget or place of the same file changes nothing in the data.
AROUND = frozenset({*JobSpec.model_fields, "kind", "broadcast_most"})
# Where a source lies and how to get there; its digest says which rows these are.
PLACE = frozenset({"uri", "connection", "credentials", "fresh_within", "on_stale"})
LATE = "late"


def lineage(job: IngestJob, founds: Mapping[str, Found], code: str, before: datetime | None = None) -> Lineage:
    """(what, digest) of all a version is made from. The same on every machine, whatever its keys.

    `before` is the time before which rows are late: the same sources give other rows after another version.
    """
    found = [("code", code), ("spec", spec_digest(job)), *((f"source:{name}", source.digest) for name, source in founds.items())]
    late = [(LATE, digest_json(before.isoformat()))] if before else []
    return tuple(sorted(found + late))


def same_work(versions: Sequence[Manifest], wanted: Lineage) -> Manifest | None:
    """The first version made of the same sources, spec and code. What is late follows from when it was made, so it is not asked."""
    core = [entry for entry in wanted if entry[0] != LATE]
    return next((m for m in versions if [entry for entry in sorted(m.lineage) if entry[0] != LATE] == core), None)


def spec_digest(job: IngestJob) -> str:
    value = job.model_dump(mode="json", exclude=set(AROUND))
    for source in value["sources"].values():
        for field in PLACE:
            source.pop(field, None)
    return digest_json(value)


def common_work(job: IngestJob, sides: Sequence[Found], code: str, keys: Sequence[str], before: datetime | None) -> str:
    """What the work on every piece has in common. `job` is settled: a column that came later changes all rows.

    `keys` name the keys that pseudonyms and personal columns are made with: under another key the same rows are other bytes.
    """
    around = [spec_digest(job), code, [side.digest for side in sides], list(keys), before.isoformat() if before else None]
    return digest_json(around)


def works(
    common: str, founds: Sequence[Found], cuts: Sequence[Cut], repeated: Mapping[int, Iterable[int]] = MappingProxyType({})
) -> tuple[Cut, ...]:
    """The cuts, each with what names its work: a version made before that has the same name among its own has the same parts.

    `repeated` are the numbers of the rows that repeat a key elsewhere, by block. Two pieces of the same bytes are told apart.
    """
    made, named = Counter[str](), []
    for cut in cuts:
        found, piece = founds[cut.source], cut.piece
        rows = piece.digest or [found.digest, piece.unit, piece.start, piece.stop]
        out = [int(row) for row in repeated.get(cut.block, ())]
        work = digest_json(["piece", common, found.name, rows, piece.first, out])
        named.append(replace(cut, work=digest_json([work, made[work]]) if made[work] else work))
        made[work] += 1
    return tuple(named)
