"""Ray Data: raw rows -> a sealed DatasetVersion. read, evolve, join, check, label, protect, split, seal; then one commit.

One task does all of it for its pieces, so plain rows never leave the process that read them: through Ray's object store come
the joined tables one way, and one line of JSON a piece the other way. Only a join to a source too large for that moves rows.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import ray

from mlray.errors import KeyringError, SpecError, StoreError, WorkError
from mlray.ingest import account, aside, evolve, identity, join, pieces, report, shuffle, sketch, stats, tasks
from mlray.ingest.code import code_digest
from mlray.ingest.mill import CPUS as CPUS  # callers admit an ingest by it
from mlray.ingest.mill import Sealed, Work, persons, secrets_of
from mlray.ingest.pieces import Cut
from mlray.ingest.protect import scopes, sealed_columns
from mlray.ingest.refine import schema
from mlray.ingest.report import PIECES, BlockReport, Ingested, part_name
from mlray.ingest.spec import IngestJob
from mlray.ingest.splits import REPORT
from mlray.ingest.verdict import verdict
from mlray.ledger.entry import Usage
from mlray.progress import OnProgress, Progress, silent
from mlray.sources import readers
from mlray.sources.piece import Found
from mlray.sources.places import Secrets
from mlray.vault.store import Draft, Vault, VaultAddress
from mlray.vault.version import DatasetVersion, Json, Lineage, dataset_digest

OnUsage = Callable[[str, Usage], None]  # a key that names this use once, and the use


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, once the sources were found: the job as it is meant for them, and what the version is named by."""

    job: IngestJob
    founds: Mapping[str, Found]
    code: str
    previous: DatasetVersion | None
    before: datetime | None  # rows before it are late
    lineage: Lineage
    declared: IngestJob | None = None  # the job as it was written, where that is known to be another

    @property
    def digest(self) -> str:
        return dataset_digest(self.job.dataset, self.lineage)

    @property
    def mains(self) -> tuple[Found, ...]:
        return tuple(self.founds[name] for name in self.job.mains)


def ingest(job: IngestJob, base: Path, vault: VaultAddress, on_progress: OnProgress = silent, on_usage: OnUsage | None = None) -> Ingested:
    """One sealed version of the job's dataset; Ray must be connected unless the version is there already.

    `base` is where relative paths start. Raises SpecError for sources that are not what the job says, WorkError when rows
    cannot be used; then nothing is committed, and what was written is removed. After anything else (a killed driver, a lost
    cluster, a full disk, a budget that is spent) the finished pieces are kept, and the next run goes on from there.
    """
    opened = vault.open()
    secrets = secrets_of(opened)
    with looked_at(job, base, secrets) as founds:
        return _ingested(plan_of(job, founds, opened), opened, secrets, on_progress, on_usage)


@contextmanager
def looked_at(job: IngestJob, base: Path, secrets: Secrets) -> Iterator[dict[str, Found]]:
    """Every source as it lies there now. What is held so that all pieces see one moment is let go of at the end."""
    founds: dict[str, Found] = {}
    try:
        for name, source in job.sources.items():
            founds[name] = readers.find(name, source, base, job.rows_per_part, secrets)
        yield founds
    finally:
        for found in founds.values():
            readers.release(found)


def _ingested(plan: Plan, opened: Vault, secrets: Secrets, on_progress: OnProgress, on_usage: OnUsage | None) -> Ingested:
    if known := _known(plan, opened):
        on_progress(Progress("ingest", f"{known} is there already"))
        return Ingested.found(known)
    for said in filter(None, (found.fact("stale") for found in plan.founds.values())):
        on_progress(Progress("ingest", said))
    draft = opened.draft_dataset(plan.job.dataset, plan.digest)
    persons(plan.job, opened)  # made before the tasks ask for them, all at once
    try:
        return _made(plan, draft, opened, secrets, on_progress, on_usage)
    except (SpecError, WorkError):
        opened.discard(draft)  # the same input would meet the same error
        raise


def plan_of(job: IngestJob, founds: Mapping[str, Found], vault: Vault) -> Plan:
    settled = evolve.settle(job, founds)
    previous = _previous(job, vault)
    before = aside.late_before(job.late, _seen(previous))
    code = code_digest()
    return Plan(settled, founds, code, previous, before, identity.lineage(job, founds, code, before), job)


def _previous(job: IngestJob, vault: Vault) -> DatasetVersion | None:
    try:
        return vault.find_dataset(job.dataset)
    except StoreError:
        return None


def _seen(version: DatasetVersion | None) -> datetime | None:
    seen = version.manifest.about.get("seen") if version else None
    return datetime.fromisoformat(str(seen)) if seen else None


def _known(plan: Plan, vault: Vault) -> DatasetVersion | None:
    """The version of this work, if it was made before. With a rule for late rows, that is the first of the same sources."""
    if not plan.job.late:
        return vault.known_dataset(plan.job.dataset, plan.digest)
    versions = [found.manifest for found in vault.datasets() if found.name == plan.job.dataset]
    same = identity.same_work(versions, plan.lineage)
    return vault.known_dataset(plan.job.dataset, same.digest) if same else None


def _made(plan: Plan, draft: Draft, vault: Vault, secrets: Secrets, on_progress: OnProgress, on_usage: OnUsage | None) -> Ingested:
    reports = list(milled(plan, Sealed(draft), vault, secrets, on_progress, on_usage))
    version = commit(plan, draft, vault, reports, on_progress)
    on_progress(Progress("ingest", f"committed {version}"))
    return Ingested.found(version, tuple(_usage(draft, found) for found in reports if found.usage.seconds), reused=False)


def milled(
    plan: Plan, sink: Sealed, vault: Vault, secrets: Secrets, on_progress: OnProgress = silent, on_usage: OnUsage | None = None
) -> Iterator[BlockReport]:
    """Every piece of the main sources, sealed: those that were finished before first, then the others as they come."""
    draft = sink.draft
    sides, large = sides_of(plan, vault.address, secrets)
    repeated = repeats_of(plan, vault.address)
    cuts = identity.works(_common(plan, vault), plan.mains, pieces.cuts(plan.mains), repeated)
    done = finished(cuts, draft, vault, plan.previous)
    left = [cut for cut in cuts if cut.block not in done]
    with closing(_lines(work_of(plan, left, sides, repeated, sink) if left else None, large)) as lines:
        yield from _told(lines, done, draft, len(cuts), on_progress, on_usage)
    for name, source in plan.job.sources.items():
        readers.unchanged(plan.founds[name], source, secrets)


def sides_of(plan: Plan, vault: VaultAddress, secrets: Secrets) -> tuple[tuple[pa.Table | None, ...], dict[int, shuffle.Side]]:
    """The joined sources made ready, in the order of the joins; and those that are too large for it, by their place among them."""
    job, wholes, ready = plan.job, dict[str, pa.Table](), list[pa.Table | None]()
    large: dict[int, shuffle.Side] = {}
    for number, how in enumerate(job.joins):
        found, source = plan.founds[how.source], job.sources[how.source]
        if join.fits(how, found, source.types, job.broadcast_most):
            whole = wholes[how.source] if how.source in wholes else readers.whole(found, source, secrets)
            wholes[how.source] = whole
            ready.append(join.side(whole, how))
        else:
            ready.append(None)
            large[number] = shuffle.side([found], [source], vault)
    return tuple(ready), large


def repeats_of(plan: Plan, vault: VaultAddress) -> shuffle.Repeats:
    """The rows of the main sources that repeat a key, by block. Raises WorkError when none may."""
    rule = plan.job.duplicates
    if not rule:
        return {}
    there = shuffle.side(plan.mains, [plan.job.sources[name] for name in plan.job.mains], vault)
    found = shuffle.find_repeats(there, rule.key, "last" if rule.keep == "last" else "first")
    aside.refuse_repeats(sum(map(len, found.values())), rule)
    return found


def _common(plan: Plan, vault: Vault) -> str:
    joined = [plan.founds[how.source] for how in plan.job.joins]
    keys = [vault.keyring.pseudonym_key(scope).id for scope in scopes(plan.job).values()] if scopes(plan.job) else []
    return identity.common_work(plan.job, joined, plan.code, keys, plan.before)


def finished(cuts: Sequence[Cut], draft: Draft, vault: Vault, previous: DatasetVersion | None) -> dict[int, BlockReport]:
    """What need not be done again, by block: pieces with a receipt of an earlier run, and pieces the version before has."""
    receipts = vault.receipts(draft)
    shared = _kept(vault, previous) if previous else {}
    done = {cut.block: report.from_json(receipts[cut.work]).placed(cut.block) for cut in cuts if cut.work in receipts}
    again = {cut.block: shared[cut.work] for cut in cuts if cut.work in shared and cut.block not in done}
    if not previous or not again:
        return done
    parts = iter(vault.share_parts(draft, [part for found in again.values() for part in found.parts], previous))
    ours = {block: replace(found, parts=tuple(next(parts) for _ in found.parts)) for block, found in again.items()}
    return done | {block: found.placed(block) for block, found in ours.items()}


def _kept(vault: Vault, previous: DatasetVersion) -> dict[str, BlockReport]:
    """What the version before keeps of its pieces. One whose keys were destroyed shares nothing."""
    if PIECES not in previous.manifest.splits:
        return {}
    try:
        lines = vault.read(previous, PIECES)["line"].to_pylist()
    except KeyringError:
        return {}
    return report.with_parts(lines, previous.manifest.parts)


def work_of(plan: Plan, cuts: Sequence[Cut], sides: tuple[pa.Table | None, ...], repeated: shuffle.Repeats, sink: Sealed) -> Work:
    dealt, most = pieces.deal(cuts, pieces.tasks(len(cuts), tasks.cpus())), pieces.cpus_at_most(len(cuts), tasks.cpus())
    around = {"repeated": ray.put(repeated) if repeated else None, "before": plan.before}
    return Work(plan.job, plan.mains, dealt, most, sink.draft.address, sink, ray.put(sides), **around)


def _lines(work: Work | None, large: Mapping[int, shuffle.Side]) -> Generator[str, None, None]:
    if work:
        yield from shuffle.run(work, large) if large else tasks.run(work)


def _told(
    lines: Iterator[str], done: Mapping[int, BlockReport], draft: Draft, expected: int, on_progress: OnProgress, on_usage: OnUsage | None
) -> Iterator[BlockReport]:
    """Every report: of finished pieces first, then of the others as they come."""
    rows = rejected = count = 0
    for found in done.values():
        rows, rejected, count = rows + found.rows, rejected + sum(found.rejected.values()), count + 1
        yield found
    if done:
        on_progress(Progress("ingest", f"{len(done):,} of {expected:,} pieces were finished before", count, expected))
    for found in map(report.from_json, lines):
        rows, rejected, count = rows + found.rows, rejected + sum(found.rejected.values()), count + 1
        if on_usage:
            on_usage(*_usage(draft, found))
        on_progress(Progress("ingest", f"{rows:,} rows read, {rejected:,} rejected", count, expected))
        yield found


def _usage(draft: Draft, found: BlockReport) -> tuple[str, Usage]:
    return f"ingest/{draft.digest}/{found.attempt}", found.usage


def commit(plan: Plan, draft: Draft, vault: Vault, reports: list[BlockReport], on_progress: OnProgress = silent) -> DatasetVersion:
    totals = report.total(reports)
    if not totals.parts:
        raise WorkError(f"source {', '.join(plan.job.mains)} holds no rows", hint="a version without rows is of no use, so none was made")
    table = pa.table({"line": report.kept_lines(sorted(reports, key=lambda found: found.block))})
    told = judge(plan, vault, reports, on_progress)
    parts = (
        *totals.parts,
        vault.write_part(draft, part_name(PIECES, 0), PIECES, table),
        vault.write_part(draft, part_name(REPORT, 0), REPORT, told),
    )
    return vault.commit_dataset(
        draft, parts, schema=schema(plan.job), lineage=plan.lineage, rejected=totals.rejected, about=totals.about | about(plan, reports)
    )


def judge(plan: Plan, vault: Vault, reports: Sequence[BlockReport], on_progress: OnProgress) -> pa.Table:
    """The account of the version. Raises WorkError when a rule refuses it."""
    merged, total = stats.merge(found.stats for found in reports), sketch.total(found.sketch for found in reports)
    found = verdict(plan.job, merged, total, _account(vault, plan.previous), datetime.now(UTC))
    for said in found.warned:
        on_progress(Progress("ingest", f"warning: {said}"))
    if found.refused:
        raise WorkError("; ".join(found.refused), hint="no version was made; correct the data, or the rule, or let it warn")
    return account.table(merged, found)


def _account(vault: Vault, previous: DatasetVersion | None) -> stats.Stats | None:
    """The statistics of the version before. One whose keys were destroyed can be compared with nothing."""
    if not previous or REPORT not in previous.manifest.splits:
        return None
    try:
        return account.stats_of(vault.read(previous, REPORT))
    except KeyringError:
        return None


def about(plan: Plan, reports: Sequence[BlockReport]) -> dict[str, Json]:
    job, previous = plan.job, plan.previous.manifest if plan.previous else None
    columns = {field.name: str(field.type) for field in schema(job)}
    stale: list[Json] = [said for found in plan.founds.values() if (said := found.fact("stale"))]
    seen = report.newest(reports, str(previous.about.get("seen") or "") if previous else "")
    return {
        "job": job.name,
        "owner": job.owner,
        "label": job.label.name if job.label else None,
        "keep": str(job.keep) if job.keep else None,
        "subject": {"column": job.subject, "sealed": [*sealed_columns(job)]} if job.subject else None,
        "classes": {column: kind.value for column, kind in job.classes.items()},
        "protection": {column: how.model_dump(mode="json", exclude_none=True) for column, how in job.protection.items()},
        "evolution": evolve.evolution(plan.declared or job, plan.founds, columns, previous),
        **({"stale": stale} if stale else {}),
        **({"seen": seen} if seen else {}),
    }
