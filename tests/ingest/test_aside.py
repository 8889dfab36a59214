"""Rows set aside before the checks keep the first reason they were given."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from mlray.errors import WorkError
from mlray.ingest.aside import late, late_before, refuse_repeats, repeats, set_aside
from mlray.ingest.blend import Duplicates, Late

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RULE = Late.model_validate({"column": "at", "behind": "1h"})
ROWS = pa.table({"at": pa.array([datetime(2026, 1, 1, h, tzinfo=UTC) for h in (10, 11, 12)] + [None], pa.timestamp("us", tz="UTC"))})


def test_a_row_is_late_an_hour_before_what_the_version_before_had_seen():
    assert late_before(RULE, NOON) == datetime(2026, 1, 1, 11, tzinfo=UTC)
    aside, counted = late(ROWS, RULE, datetime(2026, 1, 1, 11, tzinfo=UTC))
    assert (aside["_unreadable"].to_pylist(), counted) == (["late", None, None, None], {})


def test_where_nothing_was_seen_or_late_rows_are_kept_none_is_late():
    assert late_before(RULE, None) is None and late_before(None, NOON) is None
    assert late_before(RULE.model_copy(update={"do": "keep"}), NOON) is None


def test_late_rows_may_be_counted_only():
    rows, counted = late(ROWS, RULE.model_copy(update={"do": "warn"}), NOON)
    assert rows.equals(ROWS) and counted == {"late": 2}


def test_a_reason_that_stands_there_stays():
    rows = ROWS.append_column("_unreadable", pa.array(["bad", None, None, None], pa.string()))
    assert set_aside(rows, pa.array([True, True, False, None]), "new")["_unreadable"].to_pylist() == ["bad", "new", None, None]


def test_rows_that_repeat_a_key_are_told_by_their_number():
    rule = Duplicates(key=("id", "day"))
    assert repeats(ROWS, [], rule) is ROWS
    assert repeats(ROWS, [1, 3], rule)["_unreadable"].to_pylist() == [None, "repeats id, day", None, "repeats id, day"]
    refuse_repeats(2, rule)
    with pytest.raises(WorkError, match="2 rows repeat the key id, day"):
        refuse_repeats(2, rule.model_copy(update={"keep": "refuse"}))
