"""One block of raw rows -> what is sealed of it: join, check, label, protect, split, in this order, in one place.

Columns known only after the fact are dropped before anything is returned, from rejected rows as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from mlray.ingest.checks import REASON, Counts, check, counts
from mlray.ingest.join import add
from mlray.ingest.parse import ARROW, LINE
from mlray.ingest.protect import protect
from mlray.ingest.spec import IngestJob, Label, NotNull, OnFail, Protection
from mlray.ingest.split import split
from mlray.vault.keyring import DataKey

REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Refined:
    """Tables by split (`rejected` is one of them; empty ones are left out), and what was counted."""

    pieces: dict[str, pa.Table]
    rejected: Counts
    warned: Counts


def refine(rows: pa.Table, job: IngestJob, sides: tuple[pa.Table, ...], keys: Mapping[str, DataKey]) -> Refined:
    """`sides` are the joined sources made ready, in the order of the joins; `keys` those of pseudonymised columns.

    Raises WorkError when a check refuses.
    """
    for join, other in zip(job.joins, sides, strict=True):
        rows = add(rows, other, join)
    timed = NotNull(rule="not_null", column=job.split.column, reason=f"no {job.split.column}", on_fail=OnFail.REJECT)
    checked = check(rows, (*job.checks, timed))
    pieces = {name: _finish(piece, job, keys) for name, piece in split(checked.kept, job.split).items()}
    pieces[REJECTED] = _finish(checked.rejected, job, keys)
    return Refined({name: piece for name, piece in pieces.items() if piece.num_rows}, counts(checked.rejected), checked.warned)


def schema(job: IngestJob) -> pa.Schema:
    """The columns of a sealed split, in order. Rejected rows have `_line` and `_reason` besides."""
    fields = [(name, _kind(job, name)) for name in job.columns if _kept(job, name)]
    return pa.schema([*fields, (job.label.name, pa.int8())] if job.label else fields)


def rejected_schema(job: IngestJob) -> pa.Schema:
    return schema(job).append(pa.field(LINE, pa.int64())).append(pa.field(REASON, pa.string()))


def label(table: pa.Table, rule: Label) -> pa.Table:
    """With a column of 1 above the bound, else 0, and missing where the number is."""
    return table.append_column(rule.name, pc.greater(table[rule.column], rule.above).cast(pa.int8()))


def _finish(table: pa.Table, job: IngestJob, keys: Mapping[str, DataKey]) -> pa.Table:
    table = label(table, job.label) if job.label else table
    wanted = rejected_schema(job) if REASON in table.column_names else schema(job)
    return protect(table, job.protect, keys).select(wanted.names).cast(wanted)


def _kept(job: IngestJob, name: str) -> bool:
    return name not in job.outcome and job.protect.get(name) is not Protection.DROP


def _kind(job: IngestJob, name: str) -> pa.DataType:
    return pa.string() if name in job.protect else ARROW[job.columns[name]]
