"""Rules on the rows of one block; rejected rows keep their reason."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from mlray.errors import WorkError
from mlray.ingest.spec import Between, Check, NotNull, OneOf, OnFail

REASON = "_reason"
Counts = dict[str, int]  # reason -> rows


@dataclass(frozen=True, slots=True)
class Checked:
    """Rows that passed, rows that were rejected (with `_reason`), and how many failed a check that only warns."""

    kept: pa.Table
    rejected: pa.Table
    warned: Counts


def check(table: pa.Table, checks: tuple[Check, ...]) -> Checked:
    """A row is rejected by the first check it fails. Raises WorkError when a row fails a check that refuses."""
    reason = pa.nulls(table.num_rows, pa.string())
    warned: Counts = {}
    for rule in checks:
        # A row that is out already is not asked again, so each row is counted under one reason.
        bad = pc.and_(fails(table, rule), reason.is_null())
        if rule.on_fail is OnFail.REJECT:
            reason = pc.if_else(bad, rule.reason, reason)
        elif rows := pc.sum(bad).as_py():
            _refuse(rule, rows)
            warned[rule.reason] = warned.get(rule.reason, 0) + rows
    return Checked(table.filter(reason.is_null()), table.append_column(REASON, reason).filter(reason.is_valid()), warned)


def fails(table: pa.Table, rule: Check) -> pa.Array:
    """True where a row breaks the rule. Only `not_null` objects to a missing value; NaN lies in no range."""
    column = table[rule.column].combine_chunks()
    match rule:
        case NotNull():
            return column.is_null()
        case Between(low=low, high=high):
            inside = pc.and_(pc.greater_equal(column, low), pc.less_equal(column, high))
        case OneOf(values=values):
            inside = pc.is_in(column, value_set=pa.array(values))
    return pc.and_(column.is_valid(), pc.invert(pc.fill_null(inside, False)))


def counts(rejected: pa.Table) -> Counts:
    """Rows by reason."""
    return {entry["values"]: entry["counts"] for entry in rejected[REASON].value_counts().to_pylist()}


def _refuse(rule: Check, rows: int) -> None:
    if rule.on_fail is OnFail.REFUSE:
        raise WorkError(f"{rows:,} rows fail a check that refuses the whole ingest: {rule.reason} ({rule.rule} {rule.column})")
