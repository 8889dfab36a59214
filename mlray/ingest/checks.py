"""Rules on the rows of one block; rejected rows keep their reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from mlray.errors import WorkError
from mlray.ingest.rules import Between, Matches, NotNull, OneOf, OnFail, RowCheck
from mlray.sources.typed import UNREADABLE

REASON = "_reason"
Counts = dict[str, int]  # reason -> rows


@dataclass(frozen=True, slots=True)
class Checked:
    """Why each row is rejected, missing for those that are kept, and how many rows failed a check that only warns."""

    reason: pa.Array
    warned: Counts

    @property
    def rejected(self) -> Counts:
        """Rows by reason."""
        counted = self.reason.drop_null().value_counts().to_pylist()
        return {entry["values"]: entry["counts"] for entry in counted}


def check(table: pa.Table, checks: tuple[RowCheck, ...]) -> Checked:
    """A row is rejected by the first check it fails. Raises WorkError when a row fails a check that refuses.

    What a reader could not make out (`_unreadable`) comes before any check.
    """
    unread = table[UNREADABLE].combine_chunks() if UNREADABLE in table.column_names else pa.nulls(table.num_rows)
    reason = unread.cast(pa.string())
    warned: Counts = {}
    for rule in checks:
        # A row that is out already is not asked again, so each row is counted under one reason.
        bad = pc.and_(fails(table, rule), reason.is_null())
        if rule.on_fail is OnFail.REJECT:
            reason = pc.if_else(bad, rule.reason, reason)
        elif rows := pc.sum(bad).as_py():
            _refuse(rule, rows)
            warned[rule.reason] = warned.get(rule.reason, 0) + rows
    return Checked(reason, warned)


def fails(table: pa.Table, rule: RowCheck) -> pa.Array:
    """True where a row breaks the rule. Only `not_null` objects to a missing value; NaN lies in no range."""
    column = table[rule.column].combine_chunks()
    match rule:
        case NotNull():
            return column.is_null()
        case Between():
            inside = _inside(column, rule)
        case OneOf(values=values):
            inside = pc.is_in(column, value_set=pa.array(values, column.type))
        case Matches(pattern=pattern):
            inside = pc.match_substring_regex(column, rf"\A(?:{pattern})\z")
    return pc.and_(column.is_valid(), pc.invert(pc.fill_null(inside, False)))


def _inside(column: pa.Array, rule: Between) -> pa.Array:
    low, high = _moment(rule.low, timedelta(0)), _moment(rule.high, timedelta(days=1, microseconds=-1))
    above = column.is_valid() if low is None else pc.greater_equal(column, low)
    return above if high is None else pc.and_(above, pc.less_equal(column, high))


def _moment(bound: float | date | None, later: timedelta) -> float | pa.Scalar | None:
    """A number as it is; a day as its first instant and so much later; a time without a zone is UTC."""
    if bound is None or isinstance(bound, float):
        return bound
    if not isinstance(bound, datetime):
        bound = datetime.combine(bound, time.min, UTC) + later
    return pa.scalar(bound if bound.tzinfo else bound.replace(tzinfo=UTC), pa.timestamp("us", tz="UTC"))


def _refuse(rule: RowCheck, rows: int) -> None:
    if rule.on_fail is OnFail.REFUSE:
        raise WorkError(f"{rows:,} rows fail a check that refuses the whole ingest: {rule.reason} ({rule.rule} {rule.column})")
