"""Statistics of all rows are the same in whatever blocks they came, and tell nothing of protected columns."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlray.ingest import stats
from mlray.ingest.histogram import Histogram
from mlray.ingest.refine import refine
from tests.ingest.test_refine import KEYS, PLANES, ROWS, job

VALUES = {
    pa.int64(): st.integers(-(2**62), 2**62),
    pa.float64(): st.floats(width=32),
    pa.string(): st.text(max_size=4) | st.sampled_from(["a", "b", "é" * 70]),
    pa.bool_(): st.booleans(),
}


def column(values: list[Any], kind: pa.DataType, hidden: bool = False) -> dict[str, Any]:
    return stats.column(pa.chunked_array([pa.array(values, kind)]), hidden)


def alike(one: Any, two: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(alike(one[name], two[name]) for name in one)
    return math.isclose(one, two, rel_tol=1e-6, abs_tol=1e-6) if isinstance(one, float) and isinstance(two, float) else bool(one == two)


@pytest.mark.parametrize("kind", VALUES, ids=str)
@given(data=st.data())
def test_blocks_merge_to_the_statistics_of_all_rows(kind: pa.DataType, data: st.DataObject):
    values = data.draw(st.lists(st.none() | VALUES[kind], max_size=60))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=3)))
    blocks = [values[a:b] for a, b in zip([0, *cuts], [*cuts, len(values)], strict=True)]
    merged = stats.merge({"train": {"rows": len(b), "columns": {"c": column(b, kind)}}} for b in blocks)
    assert merged["train"]["rows"] == len(values)
    assert alike(merged["train"]["columns"]["c"], column(values, kind))


def test_a_thousand_categories_are_counted_in_buckets_whichever_block_had_few():
    few, many = ["a", "b"] * 50, [f"v{i}" for i in range(1000)]
    merged = stats.merge({"all": {"rows": len(b), "columns": {"c": column(b, pa.string())}}} for b in (few, many))
    assert merged["all"]["columns"]["c"] == column([*few, *many], pa.string())
    assert sum(merged["all"]["columns"]["c"]["buckets"]) == 1100


def test_numbers_are_told_as_numpy_tells_them():
    numbers = np.random.default_rng(1).normal(50, 10, 5000)
    found = column([*numbers.tolist(), None, float("nan"), float("inf")], pa.float64())
    assert (found["rows"], found["nulls"], found["finite"]) == (5003, 1, 5000)
    assert (found["min"], found["max"]) == (numbers.min(), numbers.max())
    assert found["mean"] == pytest.approx(numbers.mean())
    assert stats.deviation(found) == pytest.approx(numbers.std(ddof=1))
    assert Histogram.from_json(found["histogram"]).counts.sum() == 5000


def test_the_distribution_of_a_large_block_is_told_by_some_of_its_rows_and_all_else_by_every_row():
    numbers = np.random.default_rng(2).normal(50, 10, 100_000)
    numbers[7] = 1e9
    found = column([*numbers.tolist(), None], pa.float64())
    assert (found["every"], found["rows"], found["nulls"], found["finite"], found["max"]) == (12, 100_001, 1, 100_000, 1e9)
    assert found["mean"] == pytest.approx(numbers.mean()) and stats.deviation(found) == pytest.approx(numbers.std(ddof=1))
    drawn = Histogram.from_json(found["histogram"])
    assert drawn.counts.sum() == pytest.approx(100_000, rel=0.03)
    below = drawn.counts[drawn.high <= 50].sum() / drawn.counts.sum()
    assert below == pytest.approx((numbers < drawn.high[drawn.high <= 50][-1]).mean(), abs=0.02)


def test_a_rhythm_in_the_rows_is_not_met():
    found = column([f"sensor-{i % 6}" for i in range(100_000)], pa.string())
    assert found["every"] == 12 and len(found["values"]) == 6
    assert all(count == pytest.approx(100_000 / 6, rel=0.09) for count in found["values"].values())


def test_long_texts_are_not_kept():
    found = column(["a secret story " * 20] * 3, pa.string())
    assert found["values"] is None and "story" not in json.dumps(found)


def test_of_protected_columns_only_rows_and_missing_values_are_counted():
    done = refine(ROWS, job(classes={"plane_year": "secret"}), (PLANES,), KEYS)
    train = done.stats["train"]["columns"]
    assert train["tailnum"] == {"kind": "hidden", "rows": 1, "nulls": 0} and train["plane_year"] == {
        "kind": "hidden",
        "rows": 1,
        "nulls": 0,
    }
    assert train["late"]["values"] == {"1": 1} and train["at"]["kind"] == "moment"
    assert set(done.stats) == {"train", "validation", "test"}, "rejected rows are counted by reason"


def test_rows_of_a_report_give_back_the_statistics():
    found = refine(ROWS, job(), (PLANES,), KEYS).stats
    assert stats.from_rows(stats.to_rows(found)) == found


def test_a_column_over_all_splits():
    found = refine(ROWS, job(), (PLANES,), KEYS).stats
    years = stats.over_splits(found, "plane_year")
    assert years and (years["rows"], years["nulls"], years["min"], years["max"]) == (3, 0, 1999, 2004)
    assert stats.over_splits(found, "none") is None
