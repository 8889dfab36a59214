"""Each row that fails is counted under the first rule it fails."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from mlray.errors import WorkError
from mlray.ingest.checks import check, fails
from mlray.ingest.rules import Between, Matches, NotNull, OneOf, OnFail, RowCheck

ROWS = pa.table({"dep": [1.0, None, 3.0, 400.0, float("nan")], "origin": ["JFK", None, "BOS", "EWR", "JFK"]})
DEPARTED = NotNull(rule="not_null", column="dep", reason="cancelled")
EARLY = Between(rule="between", column="dep", low=1, high=300, reason="late")
NEW_YORK = OneOf(rule="one_of", column="origin", values=("JFK", "EWR"), reason="elsewhere")


def reasons(table: pa.Table, *rules: RowCheck) -> list[str | None]:
    found: list[str | None] = check(table, rules).reason.to_pylist()
    return found


def test_the_first_rule_that_fails_gives_the_reason():
    assert reasons(ROWS, DEPARTED, EARLY, NEW_YORK) == [None, "cancelled", "elsewhere", "late", "late"]
    assert check(ROWS, (DEPARTED, EARLY, NEW_YORK)).rejected == {"cancelled": 1, "elsewhere": 1, "late": 2}


def test_a_missing_value_fails_only_not_null():
    assert reasons(ROWS.slice(1, 1), EARLY, NEW_YORK) == [None]
    assert reasons(ROWS.slice(1, 1), DEPARTED) == ["cancelled"]


def test_a_warning_counts_rows_and_keeps_them():
    done = check(ROWS, (DEPARTED, EARLY.model_copy(update={"on_fail": OnFail.WARN})))
    assert (done.rejected, done.warned) == ({"cancelled": 1}, {"late": 2})


def test_a_refusal_stops_everything_and_says_how_many():
    refusing = NEW_YORK.model_copy(update={"on_fail": OnFail.REFUSE})
    with pytest.raises(WorkError, match=r"1 rows fail a check that refuses the whole ingest: elsewhere \(one_of origin\)"):
        check(ROWS, (refusing,))
    assert reasons(ROWS.slice(0, 1), refusing) == [None]


def test_without_rules_every_row_stays():
    assert (reasons(ROWS), check(ROWS, ()).rejected) == ([None] * 5, {})


def test_what_the_reader_could_not_make_out_comes_first():
    unread = ROWS.append_column("_unreadable", pa.array([None, "column dep: not a number", None, None, None]))
    assert reasons(unread, DEPARTED, NEW_YORK)[:3] == [None, "column dep: not a number", "elsewhere"]


def test_a_range_may_be_open_at_one_end():
    only_low = Between(rule="between", column="dep", low=2, reason="early")
    assert fails(ROWS, only_low).to_pylist() == [True, False, False, False, True], "NaN lies in no range"


def test_a_range_of_days_ends_with_the_last_day():
    moments = [datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 31, 23, 59, 59, tzinfo=UTC), datetime(2013, 2, 1, tzinfo=UTC), None]
    table = pa.table({"at": pa.array(moments, pa.timestamp("us", tz="UTC"))})
    january = Between(rule="between", column="at", low=date(2013, 1, 1), high=date(2013, 1, 31), reason="not January")
    assert fails(table, january).to_pylist() == [False, False, True, False]


def test_a_pattern_must_match_from_the_first_character_to_the_last():
    table = pa.table({"tail": ["N14228", "xN14228", "N14228\n", "n1", None, ""]})
    rule = Matches(rule="matches", column="tail", pattern="N[0-9]+|n1", reason="no tail number")
    assert fails(table, rule).to_pylist() == [False, True, True, False, False, True]


def test_whole_numbers_can_be_one_of_a_set():
    rule = OneOf(rule="one_of", column="n", values=(1, 2), reason="other")
    assert fails(pa.table({"n": [1, 3, None]}), rule).to_pylist() == [False, True, False]
