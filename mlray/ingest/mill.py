"""Mill: what one Ray task does to its blocks, from text to sealed parts. Runs on any node, any number of times.

An edge: it reads the source, writes parts, and asks Ray on which node it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import ray

from mlray.errors import MlrayError
from mlray.ingest import protect, report
from mlray.ingest.refine import REJECTED, Refined, refine
from mlray.ingest.report import BlockReport
from mlray.ingest.spec import IngestJob
from mlray.ingest.splits import TimeSplit
from mlray.ledger.entry import Usage
from mlray.market.spec import MARKET_LABEL, NODE_TYPE_LABEL, Capacity
from mlray.sources import readers
from mlray.sources.piece import Found
from mlray.vault.keyring import DataKey
from mlray.vault.store import Draft, VaultAddress
from mlray.vault.version import Part

Sink = Callable[[str, str, pa.Table], Part]  # part name, split, rows -> what was stored
CPUS = 1.0  # of one task


@dataclass(frozen=True, slots=True)
class Sealed:
    """The sink of every real ingest. Holds an address and a wrapped key."""

    draft: Draft

    def __call__(self, name: str, split: str, rows: pa.Table) -> Part:
        return self.draft.address.open().write_part(self.draft, name, split, rows)


@dataclass(frozen=True, slots=True)
class Work:
    """What a task is sent: names and addresses, no row and no secret. `sides` refers to the joined tables."""

    job: IngestJob
    main: Found
    slices: int
    cpus: float
    sides: Any
    vault: VaultAddress
    sink: Sink

    def keys(self) -> dict[str, DataKey]:
        """Pseudonym keys by column: the same value has the same pseudonym in every version of the dataset."""
        wanted = protect.scopes(self.job)
        keyring = self.vault.open().keyring if wanted else None
        return {name: keyring.pseudonym_key(scope) for name, scope in wanted.items()} if keyring else {}


def mill(batch: pa.Table, work: Work) -> Iterator[pa.Table]:
    """What a task does: every block of its slices, from text to sealed parts. Yields one line of JSON a block."""
    try:
        sides, keys, node = ray.get(work.sides), work.keys(), _node()
        for number in batch["id"].to_pylist():
            yield from (pa.table({"line": [found.to_json()]}) for found in grind(number, work, sides, keys, node))
    except MlrayError as error:
        yield pa.table({"line": [report.failure(error)]})


def grind(number: int, work: Work, sides: tuple[pa.Table, ...], keys: dict[str, DataKey], node: Usage) -> Iterator[BlockReport]:
    """The blocks of one slice, sealed one after the other. Block 7 is the same rows in every attempt."""
    job, main = work.job, work.main
    begun = time.monotonic()
    for piece, rows in readers.read(main, job.sources[job.main], main.pieces[number :: work.slices]):
        refined = refine(rows, job, sides, keys)
        parts = tuple(work.sink(f"{split}-{piece.number:05d}", split, table) for split, table in refined.pieces.items())
        yield _report(job, piece.number, rows.num_rows, refined, parts, replace(node, seconds=time.monotonic() - begun))
        begun = time.monotonic()


def _report(job: IngestJob, block: int, rows: int, refined: Refined, parts: tuple[Part, ...], usage: Usage) -> BlockReport:
    kept = {split: piece for split, piece in refined.pieces.items() if split != REJECTED}
    periods = {split: (min_max["min"].isoformat(), min_max["max"].isoformat()) for split, min_max in _extents(kept, job)}
    positives = {split: pc.sum(piece[job.label.name]).as_py() or 0 for split, piece in kept.items()} if job.label else {}
    return BlockReport(block, rows, parts, refined.rejected, refined.warned, periods, positives, usage)


def _extents(pieces: dict[str, pa.Table], job: IngestJob) -> Iterator[tuple[str, Any]]:
    if isinstance(job.split, TimeSplit):
        yield from ((split, pc.min_max(piece[job.split.column]).as_py()) for split, piece in pieces.items())


def _node() -> Usage:
    """One CPU of this node, for no time yet."""
    context = ray.get_runtime_context()
    labels, node = context.get_node_labels(), context.get_node_id()
    cpus = next((n["Resources"].get("CPU", CPUS) for n in ray.nodes() if n["NodeID"] == node), CPUS)
    capacity = labels.get(MARKET_LABEL, Capacity.ON_DEMAND)
    return Usage(labels.get(NODE_TYPE_LABEL, ""), str(capacity), 0.0, min(1.0, CPUS / cpus))
