"""Each row that fails is counted under the first rule it fails."""

from __future__ import annotations

import pyarrow as pa
import pytest

from mlray.errors import WorkError
from mlray.ingest.checks import check, counts
from mlray.ingest.spec import Between, NotNull, OneOf, OnFail

ROWS = pa.table({"dep": [1.0, None, 3.0, 400.0, float("nan")], "origin": ["JFK", None, "BOS", "EWR", "JFK"]})
DEPARTED = NotNull(rule="not_null", column="dep", reason="cancelled")
EARLY = Between(rule="between", column="dep", low=1, high=300, reason="late")
NEW_YORK = OneOf(rule="one_of", column="origin", values=("JFK", "EWR"), reason="elsewhere")


def test_the_first_rule_that_fails_gives_the_reason():
    done = check(ROWS, (DEPARTED, EARLY, NEW_YORK))
    assert done.kept.to_pylist() == [{"dep": 1.0, "origin": "JFK"}]
    assert done.rejected["_reason"].to_pylist() == ["cancelled", "elsewhere", "late", "late"]
    assert counts(done.rejected) == {"cancelled": 1, "elsewhere": 1, "late": 2}


def test_a_missing_value_fails_only_not_null():
    missing = ROWS.slice(1, 1)
    assert check(missing, (EARLY, NEW_YORK)).kept.num_rows == 1
    assert check(missing, (DEPARTED,)).kept.num_rows == 0


def test_a_warning_counts_rows_and_keeps_them():
    done = check(ROWS, (DEPARTED, EARLY.model_copy(update={"on_fail": OnFail.WARN})))
    assert (done.kept.num_rows, done.warned) == (4, {"late": 2})


def test_a_refusal_stops_everything_and_says_how_many():
    with pytest.raises(WorkError, match=r"1 rows fail a check that refuses the whole ingest: elsewhere \(one_of origin\)"):
        check(ROWS, (NEW_YORK.model_copy(update={"on_fail": OnFail.REFUSE}),))
    assert check(ROWS.slice(0, 1), (NEW_YORK.model_copy(update={"on_fail": OnFail.REFUSE}),)).kept.num_rows == 1


def test_without_rules_every_row_stays():
    done = check(ROWS, ())
    assert (done.kept.num_rows, done.rejected.num_rows, counts(done.rejected)) == (5, 0, {})
