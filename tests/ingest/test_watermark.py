"""Late is what comes behind the watermark; the watermark waits for the partition that lags most, and never goes back."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlray.ingest import watermark
from mlray.ingest.stream import Watermark
from mlray.sources.typed import UNREADABLE
from mlray.units import Duration

S = 1_000_000
RULE = Watermark(column="at", delay=Duration(5), idle=Duration(60))


def rows(*seconds: int | None) -> pa.Table:
    return pa.table({"at": pa.array([None if s is None else s * S for s in seconds], pa.timestamp("us", tz="UTC"))})


def test_the_partition_that_lags_most_holds_the_watermark_back():
    assert watermark.advance(None, {"0": 100 * S, "1": 50 * S}, RULE) == 45 * S


def test_a_partition_that_fell_silent_holds_nothing_back():
    assert watermark.advance(None, {"0": 100 * S, "1": 39 * S}, RULE) == 95 * S


def test_there_is_no_watermark_before_the_first_row():
    assert watermark.advance(None, {}, RULE) is None
    assert watermark.newest(rows(None), RULE) is None


@given(st.lists(st.dictionaries(st.sampled_from("012"), st.integers(0, 200), max_size=3), max_size=8))
def test_the_watermark_never_goes_back(batches: list[dict[str, int]]):
    now, newest = None, dict[str, int]()
    for batch in batches:
        newest = watermark.newer(newest, {name: at * S for name, at in batch.items()})
        then = watermark.advance(now, newest, RULE)
        assert now is None or (then is not None and then >= now)
        now = then
    assert newest == {p: max(batch[p] for batch in batches if p in batch) * S for p in {p for batch in batches for p in batch}}


@pytest.mark.parametrize("late", ["keep", "warn"])
def test_late_rows_that_are_kept_are_counted(late: str):
    rule = RULE.model_copy(update={"late": late})
    found, count = watermark.judge(rows(9, 10, None), rule, 10 * S)
    assert (found.column_names, count) == (["at"], 1)


def test_late_rows_that_are_rejected_carry_their_reason():
    found, count = watermark.judge(rows(9, 10, None), RULE, 10 * S)
    assert (found[UNREADABLE].to_pylist(), count) == (["late", None, None], 1)


def test_a_row_that_could_not_be_read_keeps_that_reason():
    table = rows(9, 8).append_column(UNREADABLE, pa.array(["amount is not a number", None]))
    found, count = watermark.judge(table, RULE, 10 * S)
    assert (found[UNREADABLE].to_pylist(), count) == (["amount is not a number", "late"], 2)


def test_nothing_is_late_without_a_watermark():
    assert watermark.judge(rows(1), RULE, None)[1] == 0
