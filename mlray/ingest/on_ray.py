"""Ray Data: raw rows -> a sealed DatasetVersion. read, join, check, label, protect, split, seal; then one commit.

One task does all of it for its blocks, so plain rows never leave the process that read them: through Ray's object store
come the small joined tables one way, and one line of JSON a block the other way. Each task reads its own pieces alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow as pa
import ray
import ray.data
from ray.exceptions import RayError

from mlray.errors import WorkError
from mlray.ingest import identity, join, report
from mlray.ingest.code import code_digest
from mlray.ingest.mill import CPUS as CPUS  # callers admit an ingest by it
from mlray.ingest.mill import Sealed, Work, mill
from mlray.ingest.refine import schema
from mlray.ingest.report import BlockReport, Ingested
from mlray.ingest.spec import IngestJob
from mlray.ledger.entry import Usage
from mlray.progress import OnProgress, Progress, silent
from mlray.sources import readers
from mlray.sources.piece import Found
from mlray.vault.store import Draft, VaultAddress
from mlray.vault.version import DatasetVersion, Lineage, dataset_digest

OnUsage = Callable[[str, Usage], None]  # a key that names this use once, and the use


def ingest(job: IngestJob, base: Path, vault: VaultAddress, on_progress: OnProgress = silent, on_usage: OnUsage | None = None) -> Ingested:
    """One sealed version of the job's dataset; Ray must be connected unless the version is there already.

    `base` is where relative paths start. Raises SpecError for sources that are not what the job says, WorkError when rows
    cannot be used; then nothing is committed, and what was written is removed.
    """
    inputs = {name: readers.find(name, source, base, job.rows_per_part) for name, source in job.sources.items()}
    lineage = identity.lineage(job, inputs, code_digest())
    digest = dataset_digest(job.dataset, lineage)
    if known := vault.open().known_dataset(job.dataset, digest):
        on_progress(Progress("ingest", f"{known} is there already"))
        return Ingested.found(known)
    sides = tuple(join.side(readers.whole(inputs[j.source], job.sources[j.source]), j) for j in job.joins)
    draft = vault.open().draft_dataset(job.dataset, digest)
    try:
        with closing(run(work_of(job, inputs, sides, Sealed(draft)))) as lines:
            reports = list(_told(lines, draft, identity.blocks(job, inputs), on_progress, on_usage))
        for name, source in job.sources.items():
            readers.unchanged(inputs[name], source)
        version = commit(draft, job, lineage, reports)
    except BaseException:
        vault.open().discard(draft)
        raise
    on_progress(Progress("ingest", f"committed {version}"))
    return Ingested.found(version, tuple(_usage(draft, found) for found in reports), reused=False)


def work_of(job: IngestJob, inputs: dict[str, Found], sides: tuple[pa.Table, ...], sink: Sealed) -> Work:
    cpus = ray.cluster_resources().get("CPU", CPUS)
    blocks = identity.blocks(job, inputs)
    slices, most = identity.slices(blocks, cpus), identity.cpus_at_most(blocks, cpus)
    return Work(job, inputs[job.main], slices, most, ray.put(sides), sink.draft.address, sink)


def run(work: Work) -> Generator[str, None, None]:
    """The lines of all blocks, as they come. Tasks of a lost node are run again by Ray."""
    with _settings():
        rows = ray.data.range(work.slices, override_num_blocks=work.slices)
        limits = rows.context.execution_options
        limits.resource_limits = limits.resource_limits.copy(cpu=work.cpus)
        lines = rows.map_batches(mill, batch_size=None, batch_format="pyarrow", fn_kwargs={"work": work}, num_cpus=CPUS)
    try:
        with _quiet():
            for batch in lines.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                yield from batch["line"].to_pylist()
    except RayError as error:
        # The kind of error alone: its text may quote rows.
        what = type(getattr(error, "cause", None) or error).__name__
        raise WorkError(f"the ingest failed: a task ended with {what}", hint="see Ray's logs for the whole story") from error


@contextmanager
def _settings() -> Iterator[None]:
    """Ray Data without bars of its own, and each block's line handed over at once instead of gathered into larger blocks."""
    context = ray.data.DataContext.get_current()
    wanted = {"enable_progress_bars": False, "print_on_execution_start": False, "target_max_block_size": 1}
    before = {name: getattr(context, name) for name in wanted}
    try:
        for name, value in wanted.items():
            setattr(context, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)


@contextmanager
def _quiet() -> Iterator[None]:
    """Ray Data's notes stay in its log file; on the terminal, only its errors."""
    consoles = [handler for handler in logging.getLogger("ray.data").handlers if isinstance(handler, logging.StreamHandler)]
    before = [handler.level for handler in consoles]
    try:
        for handler in consoles:
            handler.setLevel(logging.ERROR)
        yield
    finally:
        for handler, level in zip(consoles, before, strict=True):
            handler.setLevel(level)


def _told(lines: Iterator[str], draft: Draft, expected: int, on_progress: OnProgress, on_usage: OnUsage | None) -> Iterator[BlockReport]:
    done, rows, rejected = 0, 0, 0
    for line in lines:
        found = report.from_json(line)
        done, rows, rejected = done + 1, rows + found.rows, rejected + sum(found.rejected.values())
        if on_usage:
            on_usage(*_usage(draft, found))
        on_progress(Progress("ingest", f"{rows:,} rows read, {rejected:,} rejected", done, max(done, expected)))
        yield found


def _usage(draft: Draft, found: BlockReport) -> tuple[str, Usage]:
    return f"ingest/{draft.id}/{found.block}", found.usage


def commit(draft: Draft, job: IngestJob, lineage: Lineage, reports: list[BlockReport]) -> DatasetVersion:
    totals = report.total(reports)
    if not totals.parts:
        raise WorkError(f"source {job.main} holds no rows", hint="a version without rows is of no use, so none was made")
    about = totals.about | {"job": job.name, "owner": job.owner, "label": job.label.name if job.label else None}
    vault = draft.address.open()
    return vault.commit_dataset(draft, totals.parts, schema=schema(job), lineage=lineage, rejected=totals.rejected, about=about)
