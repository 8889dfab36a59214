"""Mill: what one Ray task does to its pieces, from the source to sealed parts. Runs on any node, any number of times.

An edge: it reads the source, writes parts, and asks Ray on which node it is.
"""

from __future__ import annotations

import os
import secrets as random
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import ray

from mlray.errors import MlrayError
from mlray.ingest import aside, report
from mlray.ingest.checks import Counts
from mlray.ingest.pieces import Cut
from mlray.ingest.protect import scopes, sealed_columns
from mlray.ingest.refine import Refined, refine
from mlray.ingest.report import BlockReport, part_name
from mlray.ingest.spec import IngestJob
from mlray.ingest.splits import REJECTED, TimeSplit
from mlray.ledger.entry import Usage
from mlray.market.spec import MARKET_LABEL, NODE_TYPE_LABEL, Capacity
from mlray.sources import readers
from mlray.sources.piece import Found
from mlray.sources.places import Secrets
from mlray.sources.typed import LINE
from mlray.vault.by_subject import Persons, Subjects
from mlray.vault.keyring import DataKey, Scope
from mlray.vault.secrets import Secrets as SecretStore
from mlray.vault.store import Draft, Vault, VaultAddress
from mlray.vault.version import Part

CPUS = 1.0  # of one task


class Writer(Protocol):
    """Where a task puts what it made."""

    def write(self, name: str, split: str, rows: pa.Table, subjects: pa.ChunkedArray | None, work: str) -> Part: ...
    def done(self, found: BlockReport) -> None: ...
    def receipts(self, works: Sequence[str]) -> Mapping[str, bytes]: ...


class Sink(Protocol):
    """Travels to the task, and opens the writer there."""

    def open(self, job: IngestJob) -> Writer: ...


@dataclass(frozen=True, slots=True)
class Sealed:
    """The sink of every real ingest. Holds an address and wrapped keys."""

    draft: Draft

    def open(self, job: IngestJob) -> Writer:
        vault = self.draft.address.open()
        return Sealing(vault, self.draft, job, sealed_columns(job), persons(job, vault))


@dataclass(frozen=True, slots=True)
class Sealing:
    """Seals parts into the vault, and leaves a receipt of each piece: whoever runs this version again does not repeat it."""

    vault: Vault
    draft: Draft
    job: IngestJob
    scopes: Mapping[str, Scope]  # of the columns that are sealed a second time
    persons: Persons | None  # the keys of those whose data the rows are

    def write(self, name: str, split: str, rows: pa.Table, subjects: pa.ChunkedArray | None, work: str) -> Part:
        of = Subjects(subjects.cast(pa.string()), self.persons) if subjects is not None and self.persons else None
        return self.vault.write_part(self.draft, name, split, rows, self.scopes, of, self.job.compression, work)

    def done(self, found: BlockReport) -> None:
        self.vault.receipt(self.draft, found.work, found.to_json().encode())

    def receipts(self, works: Sequence[str]) -> Mapping[str, bytes]:
        return self.vault.receipts(self.draft, works)


@dataclass(frozen=True, slots=True)
class Work:
    """What a task is sent: names and addresses, no row and no secret.

    `job` is settled. `founds` are the main sources. `sides` refers to the tables of the joins, made ready, None where the rows
    have been joined already; `repeated` to the numbers of the rows that repeat a key, by block. Rows before `before` are late.
    """

    job: IngestJob
    founds: tuple[Found, ...]
    deals: tuple[tuple[Cut, ...], ...]
    cpus: float
    vault: VaultAddress
    sink: Sink
    sides: Any
    repeated: Any = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """What a task opens once for all its pieces."""

    sides: tuple[pa.Table | None, ...]
    repeated: Mapping[int, Sequence[int]]
    keys: Mapping[str, DataKey]
    writer: Writer
    secrets: Secrets
    node: Usage


def mill(batch: pa.Table, work: Work) -> Iterator[pa.Table]:
    """What a task does: every piece it was dealt, from the source to sealed parts. Yields one line of JSON a piece."""
    try:
        opened = open_work(work)
        for number in batch["id"].to_pylist():
            yield from (pa.table({"line": [found.to_json()]}) for found in grind(work, work.deals[number], opened))
    except MlrayError as error:
        yield pa.table({"line": [report.failure(error)]})


def open_work(work: Work) -> Opened:
    vault = work.vault.open()
    repeated = ray.get(work.repeated) if work.repeated is not None else {}
    return Opened(ray.get(work.sides), repeated, keys_of(work.job, vault), work.sink.open(work.job), secrets_of(vault), this_node())


def grind(work: Work, cuts: Sequence[Cut], opened: Opened) -> Iterator[BlockReport]:
    """The pieces, sealed one after the other; those with a receipt are not read again.

    While one is sealed, and the disk confirms it, the next is read beside: two pieces are held at a time. A piece took from the
    end of the one before to its own.
    """
    receipts = opened.writer.receipts([cut.work for cut in cuts])
    yield from (report.from_json(receipts[cut.work]) for cut in cuts if cut.work in receipts)
    begun = time.monotonic()
    with ThreadPoolExecutor(1) as beside:
        sealing: Future[BlockReport] | None = None
        for cut, rows in raw(work, [cut for cut in cuts if cut.work not in receipts], opened):
            if sealing:
                yield sealing.result()
            sealing = beside.submit(seal, work, cut, rows, opened, begun)
            begun = time.monotonic()
        if sealing:
            yield sealing.result()


def raw(work: Work, cuts: Sequence[Cut], opened: Opened) -> Iterator[tuple[Cut, pa.Table]]:
    """The rows of each piece as they were read, in order."""
    for source, group in groupby(cuts, key=lambda cut: cut.source):
        by_number = {cut.piece.number: cut for cut in group}
        spec = work.job.sources[work.job.mains[source]]
        for piece, rows in readers.read(work.founds[source], spec, [cut.piece for cut in by_number.values()], opened.secrets):
            yield by_number[piece.number], rows


def seal(work: Work, cut: Cut, rows: pa.Table, opened: Opened, begun: float, used: float = 0.0) -> BlockReport:
    """One piece: refined, sealed, and its receipt left. It took since `begun`, and `used` seconds before."""
    job, writer = work.job, opened.writer
    late: Counts = {}
    if job.duplicates:
        rows = aside.repeats(rows, opened.repeated.get(cut.block, ()), job.duplicates)
    if job.late and work.before:
        rows, late = aside.late(rows, job.late, work.before)
    refined = refine(rows, job, opened.sides, opened.keys)
    whose = refined.subjects
    parts = tuple(
        writer.write(part_name(split, cut.block), split, piece, whose.get(split), cut.work) for split, piece in refined.pieces.items()
    )
    usage = replace(opened.node, seconds=used + time.monotonic() - begun)
    found = _report(job, cut, rows.num_rows, refined, parts, usage)
    found = replace(found, warned=found.warned | late, seen=_seen(job, rows, refined))
    writer.done(found)
    return found


def keys_of(job: IngestJob, vault: Vault) -> dict[str, DataKey]:
    """Pseudonym keys, by the names under which `refine` looks for them: equal values stay equal in every version."""
    return {name: vault.keyring.pseudonym_key(scope) for name, scope in scopes(job).items()}


def persons(job: IngestJob, vault: Vault) -> Persons | None:
    """The keys of the dataset's subjects, where columns are sealed for each of them apart."""
    return vault.subject_keys(job.dataset) if job.subject and sealed_columns(job) else None


def secrets_of(vault: Vault) -> Secrets:
    return SecretStore(vault).get


def this_node() -> Usage:
    """One CPU of this node, for no time yet."""
    context = ray.get_runtime_context()
    labels, node = context.get_node_labels(), context.get_node_id()
    cpus = next((n["Resources"].get("CPU", CPUS) for n in ray.nodes() if n["NodeID"] == node), CPUS)
    capacity = labels.get(MARKET_LABEL, Capacity.ON_DEMAND)
    machine = os.environ.get("MLRAY_NODE_NAME", "")
    share = min(1.0, CPUS / cpus)
    return Usage(labels.get(NODE_TYPE_LABEL, ""), str(capacity), 0.0, share, machine, cluster=machine.partition("/")[0])


def _report(job: IngestJob, cut: Cut, rows: int, refined: Refined, parts: tuple[Part, ...], usage: Usage) -> BlockReport:
    kept = {split: piece for split, piece in refined.pieces.items() if split != REJECTED}
    column = job.split.column if isinstance(job.split, TimeSplit) else ""
    periods = {split: _extent(piece[column]) for split, piece in kept.items()} if column else {}
    positives = {split: pc.sum(piece[job.label.name]).as_py() or 0 for split, piece in kept.items()} if job.label else {}
    attempt = random.token_hex(8)
    counted = (refined.rejected, refined.warned, periods, positives)
    return BlockReport(cut.block, rows, parts, *counted, usage, refined.stats, refined.sketch, cut.work, attempt)


def _extent(column: pa.ChunkedArray) -> tuple[str, str]:
    found = pc.min_max(column).as_py()
    return found["min"].isoformat(), found["max"].isoformat()


def _seen(job: IngestJob, rows: pa.Table, refined: Refined) -> str:
    """The newest time of a row that was kept: one bad row from the future must not make all that follow late."""
    if not job.late:
        return ""
    moments = rows[job.late.column]
    if REJECTED in refined.pieces:
        moments = moments.filter(pc.invert(pc.is_in(rows[LINE], value_set=refined.pieces[REJECTED][LINE].combine_chunks())))
    newest = pc.max(moments).as_py()
    return newest.isoformat() if newest else ""
