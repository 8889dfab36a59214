"""One block of raw rows -> what is sealed of it: join, check, label, protect, split, in this order, in one place.

Columns known only after the fact are dropped before anything is returned, from rejected rows as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlray.errors import SpecError
from mlray.ingest import personal, sketch, split, stats
from mlray.ingest.checks import REASON, Checked, Counts, check
from mlray.ingest.join import add
from mlray.ingest.protect import protect, type_of
from mlray.ingest.protection import Drop
from mlray.ingest.rules import by_row
from mlray.ingest.sketch import Sketch
from mlray.ingest.spec import IngestJob, Label
from mlray.ingest.splits import REJECTED as REJECTED
from mlray.ingest.splits import key_of
from mlray.ingest.stats import Stats
from mlray.sources.typed import LINE
from mlray.vault.keyring import DataKey


@dataclass(frozen=True, slots=True)
class Refined:
    """Tables by split (`rejected` is one of them; empty ones are left out), and what was counted.

    `subjects` says for each row of each table whose data it is, as the source has it; empty without a declared subject.
    `stats` go into the version's report, `sketch` is what its verdict needs.
    """

    pieces: dict[str, pa.Table]
    rejected: Counts
    warned: Counts
    subjects: dict[str, pa.ChunkedArray]
    stats: Stats
    sketch: Sketch


def refine(rows: pa.Table, job: IngestJob, sides: tuple[pa.Table | None, ...], keys: Mapping[str, DataKey]) -> Refined:
    """`sides` are the joined sources made ready, in the order of the joins, None where the rows have been joined already;
    `keys` are those that `protect.scopes` names.

    Raises WorkError when a check refuses, SpecError when values look personal and nobody said what they are.
    """
    for join, other in zip(job.joins, sides, strict=True):
        rows = rows if other is None else add(rows, other, join)
    suspected = _suspected(rows, job)
    rows = label(rows, job.label) if job.label else rows
    checked = _checked(rows, job)
    names = (*split.names(job.split), REJECTED)
    kept = checked.reason.is_null().to_numpy(zero_copy_only=False)
    places = np.where(kept, split.places(rows, job.split), len(names) - 1)
    sealed = protect(rows, job.protection, keys).append_column(REASON, checked.reason)
    pieces = {name: _at(sealed, places, number) for number, name in enumerate(names) if (places == number).any()}
    split_of = {name: places == number for number, name in enumerate(split.names(job.split))}
    plain, rejected = schema(job), rejected_schema(job)
    wanted = {name: rejected if name == REJECTED else plain for name in pieces}
    subjects = pa.table({job.subject: rows[job.subject].cast(pa.string())}) if job.subject else None
    tables = {name: piece.select(wanted[name].names).cast(wanted[name]) for name, piece in pieces.items()}
    return Refined(
        tables,
        checked.rejected,
        checked.warned | suspected,
        {name: _at(subjects, places, names.index(name))[0] for name in pieces} if subjects else {},
        stats.of(tables, job) if job.report == "full" else {},
        sketch.of(rows, split_of, job, keys),
    )


def schema(job: IngestJob) -> pa.Schema:
    """The columns of a sealed split, in order. Rejected rows have `_line` and `_reason` besides."""
    columns, protected = job.columns, job.protection
    kept = [name for name in columns if name not in job.outcome and not isinstance(protected.get(name), Drop)]
    fields = [(name, type_of(columns[name], protected.get(name))) for name in kept]
    return pa.schema([*fields, (job.label.name, pa.int8())] if job.label else fields)


def rejected_schema(job: IngestJob) -> pa.Schema:
    return schema(job).append(pa.field(LINE, pa.int64())).append(pa.field(REASON, pa.string()))


def label(table: pa.Table, rule: Label) -> pa.Table:
    """With a column of 1 above the bound, else 0, and missing where the number is."""
    return table.append_column(rule.name, pc.greater(table[rule.column], rule.above).cast(pa.int8()))


def _checked(rows: pa.Table, job: IngestJob) -> Checked:
    """By the job's rules, and then a row that belongs to no split is rejected as well."""
    checked = check(rows, by_row(job.checks))
    lost = pc.and_(pa.array(split.homeless(rows, job.split)), checked.reason.is_null())
    return Checked(pc.if_else(lost, f"no {', '.join(key_of(job.split))}", checked.reason), checked.warned)


def _suspected(rows: pa.Table, job: IngestJob) -> Counts:
    """Columns that look personal, with the rows of this block, where that is only a warning."""
    if job.looks_personal == "ignore":
        return {}
    columns, unclear = job.columns, job.unclear
    named = {column: "named so" for column in unclear if personal.by_name(column, columns[column])}
    found = named | personal.suspects(rows, [column for column in unclear if columns[column] == "text"])
    if found and job.looks_personal == "refuse":
        said = ", ".join(f"{column} ({what})" for column, what in sorted(found.items()))
        raise SpecError(personal.complaint([said]), hint=personal.HINT % min(found))
    return {f"{column} looks personal ({what})": rows.num_rows for column, what in found.items()}


def _at(table: pa.Table, places: split.Places, number: int) -> pa.Table:
    """The rows of one place. A table that lies there whole is not copied."""
    here = places == number
    return table if here.all() else table.filter(pa.array(here))
