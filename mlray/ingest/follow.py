"""Follow: a stream read in micro-batches, each of which becomes a version that shares all parts of the one before. An edge.

A version's manifest is signed and appears in one step, and the offsets stand in it: so what was read and how far was read can
never disagree. A follower that is killed leaves the version before, or the new one; whoever goes on begins at the offsets of
the latest. It never asks the broker how far it got, and never tells it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import ray

from mlray.clock import Clock
from mlray.errors import KeyringError, MlrayError, SpecError, WorkError
from mlray.ingest import account, batches, chain, evolve, identity, on_ray, pieces, report, sketch, stats, tasks
from mlray.ingest.batches import Batch, Milled, Runner
from mlray.ingest.chain import Standing
from mlray.ingest.code import code_digest
from mlray.ingest.mill import CPUS, Sealed, Work, persons, secrets_of
from mlray.ingest.on_ray import OnUsage, Plan
from mlray.ingest.refine import schema
from mlray.ingest.report import Ingested, part_name
from mlray.ingest.spec import IngestJob
from mlray.ingest.splits import OPEN, REPORT
from mlray.ingest.stream import Follow
from mlray.ingest.verdict import verdict
from mlray.ledger.entry import Usage
from mlray.progress import OnProgress, Progress, silent
from mlray.sources import kafka, kinesis, ranges, readers
from mlray.sources.piece import Found
from mlray.vault.store import Draft, Vault, VaultAddress
from mlray.vault.version import DatasetVersion, Part, dataset_digest

STREAMS: dict[str, ModuleType] = {"kafka": kafka, "kinesis": kinesis}
OWN = (OPEN, REPORT)  # splits that each version makes anew, by how they begin
FOLLOWING = "following"  # the receipt that tells the drafts of a follower from those of other runs, which are kept
TICK_S = 0.2  # how soon a follower that waits sees that it is to end
Sides = tuple[pa.Table, ...]
Stopped = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Follower:
    """What stays the same from batch to batch. `run` makes the parts of one batch, on whatever node."""

    job: IngestJob
    follow: Follow
    vault: Vault
    sides: Mapping[str, Found]
    run: Runner
    code: str

    @property
    def source(self) -> str:
        return self.job.mains[0]


def follow(
    job: IngestJob,
    base: Path,
    vault: VaultAddress,
    start: Callable[[Sides], Runner],
    *,
    clock: Clock,
    forever: bool,
    stopped: Stopped = lambda: False,
    on_progress: OnProgress = silent,
    on_usage: OnUsage | None = None,
) -> Ingested:
    """Batches until it is stopped; or, unless `forever`, until what is there now was read. Returns the latest version.

    Raises SpecError when the dataset cannot be gone on with, WorkError when a check refuses a batch: the versions before stay.
    """
    follower = _follower(job, base, vault.open(), start)
    _tidy(follower)
    latest, made = follower.vault.latest_dataset(job.dataset), False
    for version, records, used in _versions(follower, latest, clock, forever, stopped):
        latest, made = version, True
        on_progress(Progress("ingest", f"{records:,} records: committed {version}"))
        for key, usage in used if on_usage else ():
            on_usage(key, usage)  # type: ignore[misc]
    if not latest:
        raise WorkError(f"source {follower.source} holds no records yet", hint="run it again when there are some; --follow waits for them")
    return Ingested.found(latest, reused=not made)


def _versions(
    follower: Follower, latest: DatasetVersion | None, clock: Clock, forever: bool, stopped: Stopped
) -> Iterator[tuple[DatasetVersion, int, list[tuple[str, Usage]]]]:
    """(version, its records, what they used) of each batch. `before` is what the latest version says, `stands` how far was looked."""
    before = stands = _standing(follower, latest)
    while not stopped():
        began = clock.now()
        found = _upcoming(follower, stands)
        chain.same_stream(before, found.found.fact(ranges.IDENTITY), found.found.where)
        stands = replace(stands, offsets=found.offsets, gaps=_gaps(stands, found))
        if found.found.pieces:
            latest, used = _batch(follower, found, replace(before, gaps=stands.gaps), latest)
            before = stands = _standing(follower, latest)
            yield latest, found.found.rows, used
        if not found.more:
            if not forever:
                return
            _wait(clock, began + timedelta(seconds=follower.follow.every.seconds), stopped)


def _wait(clock: Clock, until: datetime, stopped: Stopped) -> None:
    while not stopped() and (left := (until - clock.now()).total_seconds()) > 0:
        clock.sleep(min(TICK_S, left))


def in_process(sides: Sides) -> Runner:
    """Batches in this process."""
    return partial(batches.here, sides=sides)


def on_cluster(sides: Sides) -> Runner:
    """Each batch as one task of the cluster this process is connected to. A task of a lost node is run again by Ray."""
    there = ray.put(sides)
    task = ray.remote(num_cpus=CPUS, max_retries=3)(_told)

    def run(batch: Batch) -> Milled:
        with tasks.told():
            found = ray.get(task.remote(batch, there))
        if isinstance(found, MlrayError):
            raise found
        return found  # type: ignore[no-any-return]

    return run


@contextmanager
def interruptible() -> Iterator[Stopped]:
    """Inside, Ctrl-C or SIGTERM asks to stop after the batch that is being made; asked twice, it stops at once."""
    asked: list[int] = []

    def ask(number: int, frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before: dict[signal.Signals, Any] = {}
    with suppress(ValueError):  # not the main thread, which alone may do this
        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _told(batch: Batch, sides: Sides) -> Milled | MlrayError:
    """An error comes back as a value: Ray would log the traceback of one that is raised."""
    try:
        return batches.on_node(batch, sides)
    except MlrayError as error:
        return error


def _follower(job: IngestJob, base: Path, vault: Vault, start: Callable[[Sides], Runner]) -> Follower:
    """Joined sources are read once: they are as they were when the follower started."""
    assert job.follow
    secrets, others = secrets_of(vault), [name for name in job.sources if name not in job.mains]
    founds = {name: readers.find(name, job.sources[name], base, job.rows_per_part, secrets) for name in others}
    main = job.mains[0]
    there = STREAMS[job.sources[main].format].after(main, job.sources[main], {}, 1, job.rows_per_part, secrets=secrets).found
    settled, code = evolve.settle(job, {**founds, main: there}), code_digest()
    sides, large = on_ray.sides_of(Plan(settled, {**founds, main: there}, code, None, None, ()), vault.address, secrets)
    for found in founds.values():
        readers.release(found)
    if large:
        raise SpecError(
            f"joins: {', '.join(job.joins[number].source for number in large)} is too large to be joined to a stream",
            hint="join it in a job that reads what the stream made; or raise broadcast_most",
        )
    return Follower(settled, job.follow, vault, founds, start(tuple(side for side in sides if side is not None)), code)


def _tidy(follower: Follower) -> None:
    """Removes the batches that followers before this one did not finish. One that is still at work fails, and this one goes on."""
    vault, name = follower.vault, follower.job.dataset
    for digest in vault.drafts(name):
        with suppress(KeyringError):
            draft = vault.draft_dataset(name, digest)
            if vault.receipts(draft, [FOLLOWING]):
                vault.discard(draft)


def _standing(follower: Follower, latest: DatasetVersion | None) -> Standing:
    return chain.standing(latest.manifest if latest else None, follower.source, follower.follow, _schema(follower.job))


def _upcoming(follower: Follower, stands: Standing) -> ranges.Batch:
    source, how = follower.job.sources[follower.source], follower.follow
    found: ranges.Batch = STREAMS[source.format].after(
        follower.source,
        source,
        stands.offsets,
        how.most,
        follower.job.rows_per_part,
        how.start,
        how.on_gap,
        secrets_of(follower.vault),
    )
    return found


def _batch(
    follower: Follower, found: ranges.Batch, before: Standing, previous: DatasetVersion | None
) -> tuple[DatasetVersion, list[tuple[str, Usage]]]:
    """The next version. Nothing of a batch that fails is kept: the next attempt may find more records, and so be another version."""
    job, vault = follower.job, follower.vault
    founds = {**follower.sides, follower.source: found.found}
    own = identity.lineage(job, founds, follower.code)
    plan = Plan(job, founds, follower.code, previous, None, chain.lineage(own, previous.digest if previous else ""))
    digest = dataset_digest(job.dataset, plan.lineage)
    if known := vault.known_dataset(job.dataset, digest):
        return known, []  # another follower was faster
    draft = vault.draft_dataset(job.dataset, digest)
    vault.receipt(draft, FOLLOWING, b"")
    persons(job, vault)
    try:
        cuts = tuple(replace(cut, block=before.blocks + cut.block) for cut in pieces.cuts((found.found,)))
        work = Work(job, (found.found,), (cuts,), CPUS, vault.address, Sealed(draft), None)
        merge = {} if job.subject else chain.small(_shared(previous), job.rows_per_part, follower.follow.compact_after)
        milled = follower.run(Batch(work, draft, follower.follow, before, previous, merge))
        return _committed(follower, plan, draft, milled, merge, _after(before, found, milled)), _usages(draft, milled)
    except BaseException:
        vault.discard(draft)
        raise


def _after(before: Standing, found: ranges.Batch, milled: Milled) -> Standing:
    return Standing(
        found.offsets,
        before.batch + 1,
        before.blocks + len(milled.reports),
        milled.watermark,
        milled.newest,
        before.late + milled.late,
        before.gaps,
        found.found.fact(ranges.IDENTITY),
    )


def _committed(
    follower: Follower, plan: Plan, draft: Draft, milled: Milled, merge: Mapping[str, Sequence[Part]], now: Standing
) -> DatasetVersion:
    vault, previous = follower.vault, plan.previous
    gone = {part.file for parts in merge.values() for part in parts}
    shared = vault.share_parts(draft, [part for part in _shared(previous) if part.file not in gone], previous) if previous else ()
    totals = report.total(replace(found, block=number) for number, found in enumerate(milled.reports))
    merged = tuple(part for parts in milled.merged.values() for part in parts)
    told = chain.add(previous.manifest.about if previous else {}, totals.about)
    return vault.commit_dataset(
        draft,
        (*shared, *merged, *totals.parts, *milled.windows, *milled.state, _account(follower, draft, previous, milled)),
        schema=schema(plan.job),
        lineage=plan.lineage,
        rejected=chain.counts(previous.manifest.rejected if previous else (), totals.rejected),
        about={**told, **on_ray.about(plan, milled.reports), **chain.tell(now, follower.source, follower.follow)},
    )


def _account(follower: Follower, draft: Draft, previous: DatasetVersion | None, milled: Milled) -> Part:
    """The statistics of all rows so far."""
    vault, split = follower.vault, REPORT
    before: list[stats.Stats] = []
    if previous and split in previous.manifest.splits:
        with suppress(KeyringError):
            before = [account.stats_of(vault.read(previous, split))]
    merged = stats.merge([*before, *(found.stats for found in milled.reports)])
    found = verdict(follower.job, merged, sketch.total(iter(())), None, datetime.now(UTC))
    return vault.write_part(draft, part_name(split, 0), split, account.table(merged, found))


def _shared(previous: DatasetVersion | None) -> list[Part]:
    return [part for part in previous.manifest.parts if not part.split.startswith(OWN)] if previous else []


def _gaps(before: Standing, found: ranges.Batch) -> dict[str, int]:
    return {name: before.gaps.get(name, 0) + found.gaps.get(name, 0) for name in {**before.gaps, **found.gaps}}


def _usages(draft: Draft, milled: Milled) -> list[tuple[str, Usage]]:
    return [(f"ingest/{draft.digest}/{found.attempt}", found.usage) for found in milled.reports if found.usage.seconds]


def _schema(job: IngestJob) -> chain.Schema:
    return tuple((field.name, str(field.type)) for field in schema(job))
