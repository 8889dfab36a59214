"""Ray Data: raw rows -> a sealed DatasetVersion. read, evolve, join, check, label, protect, split, seal; then one commit.

One task does all of it for its pieces, so plain rows never leave the process that read them: through Ray's object store come
the joined tables one way, and one line of JSON a piece the other way. Only a join to a source too large for that moves rows.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import ray

from mlray.errors import KeyringError, SpecError, WorkError
from mlray.ingest import aside, identity, join, pieces, report, shuffle, tasks
from mlray.ingest.finish import about as about
from mlray.ingest.finish import commit as commit
from mlray.ingest.mill import CPUS as CPUS  # callers admit an ingest by it
from mlray.ingest.mill import Sealed, Work, persons, secrets_of
from mlray.ingest.pieces import Cut
from mlray.ingest.plan import Plan as Plan
from mlray.ingest.plan import known, looked_at
from mlray.ingest.plan import plan_of as plan_of
from mlray.ingest.protect import scopes
from mlray.ingest.report import PIECES, BlockReport, Ingested
from mlray.ingest.spec import IngestJob
from mlray.ledger.entry import Usage
from mlray.progress import OnProgress, Progress, silent
from mlray.sources import readers
from mlray.sources.places import Secrets
from mlray.vault.store import Draft, Vault, VaultAddress
from mlray.vault.version import DatasetVersion

OnUsage = Callable[[str, Usage], None]  # a key that names this use once, and the use


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


def _ingested(plan: Plan, opened: Vault, secrets: Secrets, on_progress: OnProgress, on_usage: OnUsage | None) -> Ingested:
    if there := known(plan, opened):
        on_progress(Progress("ingest", f"{there} is there already"))
        return Ingested.found(there)
    for said in filter(None, (found.fact("stale") for found in plan.founds.values())):
        on_progress(Progress("ingest", said))
    draft = opened.draft_dataset(plan.job.dataset, plan.digest)
    persons(plan.job, opened)  # made before the tasks ask for them, all at once
    try:
        return _made(plan, draft, opened, secrets, on_progress, on_usage)
    except (SpecError, WorkError):
        opened.discard(draft)  # the same input would meet the same error
        raise


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
