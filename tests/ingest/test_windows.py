"""Windows do not depend on how the rows came: any batching of them gives the windows of one batch."""

from __future__ import annotations

import itertools
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mlray.ingest import windows
from mlray.ingest.stream import Follow, Window
from mlray.ingest.watermark import advance
from mlray.ingest.windows import TIME, Closed

S = 1_000_000
COMPUTE = {
    "n": "count",
    "total": {"sum": "amount"},
    "weight": {"sum": "kilos"},
    "average": {"mean": "amount"},
    "least": {"min": "amount"},
    "last": {"max": "at"},
}
TUMBLING = Window.model_validate({"name": "w", "by": ["who"], "size": "10s", "compute": COMPUTE})
SLIDING = Window.model_validate({"name": "w", "by": ["who"], "size": "10s", "slide": "4s", "compute": COMPUTE})
Row = tuple[int, str | None, int | None, float | None]
ROWS = st.lists(
    st.tuples(
        st.integers(-40 * S, 40 * S),
        st.sampled_from(["a", "b", None]),
        st.none() | st.integers(-100, 100),
        st.none() | st.integers(-100, 100).map(float),
    ),
    max_size=30,
)


def table(rows: list[Row]) -> pa.Table:
    at, who, amount, kilos = ([row[i] for row in rows] for i in range(4))
    columns = {"at": pa.array(at, TIME), "who": pa.array(who, pa.string()), "amount": pa.array(amount, pa.int64())}
    return pa.table(columns | {"kilos": pa.array(kilos, pa.float64())})


def run(batches: list[list[Row]], window: Window, marks: list[int | None]) -> tuple[list[dict[str, Any]], pa.Table]:
    """The windows emitted batch by batch, and what is still open; `marks` is the watermark after each batch."""
    state, out, before = windows.panes(table([]), window, "at"), [], None
    for batch, now in zip(batches, marks, strict=True):
        state = windows.merge([state, windows.panes(table(batch), window, "at")], window)
        done = windows.close(state, window, before, now)
        out += done.rows.to_pylist()
        state, before = done.open, now
    return out, state


def by_hand(rows: list[Row], window: Window) -> list[dict[str, Any]]:
    """Each row put into each of its windows, one by one."""
    found: dict[tuple[int, str | None], list[Row]] = defaultdict(list)
    for row in rows:
        start = row[0] // window.slide_us * window.slide_us
        while start + window.size_us > row[0]:
            found[start, row[1]].append(row)
            start -= window.slide_us
    return [
        _features(start, who, members, window) for (start, who), members in sorted(found.items(), key=lambda i: (i[0][0], i[0][1] or "z"))
    ]


def _features(start: int, who: str | None, members: list[Row], window: Window) -> dict[str, Any]:
    amounts, kilos = [row[2] for row in members if row[2] is not None], [row[3] for row in members if row[3] is not None]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return {
        "who": who,
        "window_start": epoch + timedelta(microseconds=start),
        "window_end": epoch + timedelta(microseconds=start + window.size_us),
        "n": len(members),
        "total": sum(amounts) if amounts else None,
        "weight": sum(kilos) if kilos else None,
        "average": sum(amounts) / len(amounts) if amounts else None,
        "least": min(amounts, default=None),
        "last": epoch + timedelta(microseconds=max(row[0] for row in members)),
    }


@pytest.mark.parametrize("window", [TUMBLING, SLIDING], ids=["tumbling", "sliding"])
@settings(deadline=None, max_examples=60)
@given(rows=ROWS)
def test_windows_are_those_made_row_by_row(window: Window, rows: list[Row]):
    out, state = run([rows], window, [1000 * S])
    assert out == by_hand(rows, window) and not state.num_rows


@pytest.mark.parametrize("window", [TUMBLING, SLIDING], ids=["tumbling", "sliding"])
@settings(deadline=None, max_examples=60)
@given(rows=ROWS, cuts=st.lists(st.integers(0, 30), max_size=6))
def test_any_batching_of_rows_in_time_gives_the_windows_of_one_batch(window: Window, rows: list[Row], cuts: list[int]):
    delay = 3 * S
    # Out of order by less than the delay: what no watermark may call late.
    rows = sorted(rows, key=lambda row: row[0] + row[0] * 7919 % delay)
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    batches = [rows[a:b] for a, b in itertools.pairwise(edges)]
    rule = Follow.model_validate({"watermark": {"column": "at", "delay": "3s"}}).watermark
    assert rule
    marks: list[int | None] = []
    for end in edges[1:]:
        seen = [row[0] for row in rows[:end]]
        marks.append(advance(marks[-1] if marks else None, {"0": max(seen)} if seen else {}, rule))
    piecemeal, left = run(batches, window, marks)
    at_once, state = run([rows], window, [marks[-1]])
    key = str
    assert sorted(piecemeal, key=key) == sorted(at_once, key=key)
    assert sorted(left.to_pylist(), key=key) == sorted(state.to_pylist(), key=key)
    starts = [(row["window_start"], row["who"]) for row in piecemeal]
    assert len(starts) == len(set(starts)), "a window was emitted twice"


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.integers(0, 30))
def test_totals_of_fractions_differ_by_rounding_alone(values: list[float], cut: int):
    rows: list[Row] = [(0, "a", 1, value) for value in values]
    (piecemeal,), _ = run([rows[:cut], rows[cut:]], TUMBLING, [None, 1000 * S])
    (at_once,), _ = run([rows], TUMBLING, [1000 * S])
    assert piecemeal["weight"] == pytest.approx(at_once["weight"], rel=1e-12, abs=1e-6)


def test_a_late_row_changes_windows_that_are_open_and_none_that_was_emitted():
    state = windows.panes(table([(6 * S, "a", 1, None)]), SLIDING, "at")
    first = windows.close(state, SLIDING, None, 11 * S)
    assert [(row["window_start"].second, row["total"]) for row in first.rows.to_pylist()] == [(0, 1)]
    late = windows.merge([first.open, windows.panes(table([(7 * S, "a", 10, None)]), SLIDING, "at")], SLIDING)
    then = windows.close(late, SLIDING, 11 * S, 20 * S)
    assert [(row["window_start"].second, row["total"]) for row in then.rows.to_pylist()] == [(4, 11)]


def test_an_instant_on_the_border_is_in_the_window_that_begins():
    out, _ = run([[(10 * S, "a", 1, None), (10 * S - 1, "a", 2, None)]], TUMBLING, [1000 * S])
    assert [(row["window_start"].second, row["total"]) for row in out] == [(0, 2), (10, 1)]


def test_nothing_is_emitted_before_there_is_a_watermark():
    found = windows.panes(table([(S, "a", 1, None)]), TUMBLING, "at")
    match windows.close(found, TUMBLING, None, None):
        case Closed(rows, still):
            assert rows.num_rows == 0 and still.equals(found) and rows.column_names[:3] == ["who", "window_start", "window_end"]


@pytest.mark.parametrize(
    "change, why",
    [
        ({"slide": "11s"}, "longer than size"),
        ({"size": "0s"}, "longer than nothing"),
        ({"size": "1d", "slide": "1s"}, "86,400 windows"),
        ({"compute": {"who": "count"}}, "is the name of another column"),
        ({"compute": {"n": {"median": "amount"}}}, "compute"),
    ],
)
def test_a_window_that_cannot_be_is_refused(change: dict[str, Any], why: str):
    with pytest.raises(ValidationError, match=why):
        Window.model_validate({"name": "w", "by": ["who"], "size": "10s", "compute": {"n": "count"}} | change)


def test_windows_need_a_watermark():
    with pytest.raises(ValidationError, match="which says when a window is over"):
        Follow.model_validate({"windows": [{"name": "w", "size": "10s", "compute": {"n": "count"}}]})
