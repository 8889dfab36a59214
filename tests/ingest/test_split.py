"""Splits keep apart what must be apart, and put every row into exactly one."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from mlray.ingest.split import homeless, names, places
from mlray.ingest.splits import Split, TimeSplit, misfit

SPLIT: TypeAdapter[Split] = TypeAdapter(Split)
BY = TimeSplit(by="time", column="at", validation_from=date(2013, 9, 1), test_from=date(2013, 11, 1))
UTC_US = pa.timestamp("us", tz="UTC")


def by(**fields: Any) -> Split:
    return SPLIT.validate_python(fields)


def rows(count: int, **columns: Any) -> pa.Table:
    return pa.table({"_line": pa.array(np.arange(1, count + 1)), **columns})


def shares(table: pa.Table, split: Split) -> list[float]:
    found: list[float] = (np.bincount(places(table, split), minlength=len(names(split))) / table.num_rows).tolist()
    return found


def test_the_first_instant_of_a_period_belongs_to_it():
    borders = [datetime(2013, 9, 1, tzinfo=UTC), datetime(2013, 11, 1, tzinfo=UTC)]
    moments = [moment for border in borders for moment in (border - timedelta(microseconds=1), border)]
    assert places(pa.table({"at": pa.array(moments, UTC_US)}), BY).tolist() == [0, 1, 1, 2]


@given(st.lists(st.one_of(st.none(), st.datetimes(datetime(2013, 1, 1), datetime(2014, 1, 1), timezones=st.just(UTC))), max_size=50))
def test_nothing_later_teaches_anything_earlier(moments: list[datetime | None]):
    table = pa.table({"at": pa.array(moments, UTC_US)})
    assert homeless(table, BY).tolist() == [moment is None for moment in moments]
    placed = [(place, moment) for place, moment in zip(places(table, BY), moments, strict=True) if moment]
    assert all(one[0] <= two[0] for one in placed for two in placed if one[1] <= two[1])


@given(st.lists(st.one_of(st.none(), st.integers(0, 20)), max_size=60), st.integers(0, 5))
def test_rows_of_one_key_are_on_one_side(keys: list[int | None], seed: int):
    split = by(by="group", key="k", seed=seed)
    table = pa.table({"k": pa.array(keys, pa.int64())})
    assert homeless(table, split).tolist() == [key is None for key in keys]
    sides = {(key, place) for key, place in zip(keys, places(table, split).tolist(), strict=True) if key is not None}
    assert len(sides) == len({key for key, _ in sides})


def test_the_side_of_a_key_never_changes():
    """Golden: a row that changed its split after an upgrade would have been learned from."""
    table = pa.table({"k": ["N14228", "N24211", "N619AA", "N804JB", "N668DN", "N39463", "N516JB", "N829AS"]})
    assert places(table, by(by="group", key="k", shares={"train": 0.5, "test": 0.5})).tolist() == GROUPED
    assert places(rows(12), by(by="hash", shares={"train": 0.5, "test": 0.5})).tolist() == HASHED
    assert places(rows(12), by(by="folds", count=3)).tolist() == FOLDED


GROUPED = [1, 1, 0, 0, 0, 0, 1, 1]
HASHED = [0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 1, 1]
FOLDED = [0, 0, 0, 0, 1, 2, 0, 2, 0, 1, 1, 2]


def test_shares_are_kept_by_chance_and_another_seed_deals_anew():
    table, split = rows(50_000), by(by="hash", shares={"train": "80%", "validation": 0.1, "test": "10%"})
    assert shares(table, split) == pytest.approx([0.8, 0.1, 0.1], abs=0.01)
    again = by(by="hash", shares={"train": "80%", "validation": 0.1, "test": "10%"}, seed=1)
    assert (places(table, split) == places(table, again)).mean() == pytest.approx(0.66, abs=0.02)


def test_two_columns_can_be_one_key():
    table = pa.table({"a": ["x", "x", "y", None], "b": [1, 2, 1, 1]})
    split = by(by="group", key=["a", "b"])
    assert homeless(table, split).tolist() == [False, False, False, True]


@given(st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=200))
def test_strata_are_divided_exactly(strata: list[str | None]):
    split = by(by="hash", stratify="s", shares={"train": 0.8, "test": 0.2})
    placed = places(rows(len(strata), s=pa.array(strata, pa.string())), split)
    for value in set(strata):
        mine = np.array([stratum == value for stratum in strata])
        assert abs((placed[mine] == 0).sum() - 0.8 * mine.sum()) < 1


def test_strata_of_single_rows_are_not_all_in_train():
    alone = [f"s{i}" for i in range(20_000)]
    assert shares(rows(20_000, s=alone), by(by="hash", stratify="s")) == pytest.approx([0.8, 0.1, 0.1], abs=0.02)


def test_folds_are_of_equal_size_beside_the_test_share():
    split = by(by="folds", count=4, test="20%")
    assert names(split) == ("fold-0", "fold-1", "fold-2", "fold-3", "test")
    assert shares(rows(50_000), split) == pytest.approx([0.2] * 5, abs=0.01)
    assert shares(rows(50_000), by(by="folds", count=4)) == pytest.approx([0.25] * 4, abs=0.01)


def test_folds_by_key_keep_rows_together():
    table = rows(1000, k=pa.array([i % 50 for i in range(1000)]))
    placed = places(table, by(by="folds", count=5, key="k"))
    assert all(len(set(placed[key::50])) == 1 for key in range(50))


def test_without_a_split_all_rows_are_in_all():
    assert names(by(by="none")) == ("all",) and places(rows(3), by(by="none")).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "fields, why",
    [
        ({"by": "group", "key": "k", "shares": {"train": 0.8, "test": 0.1}}, "together 1, not 0.9"),
        ({"by": "hash", "shares": {"rejected": 1}}, "cannot name a split"),
        ({"by": "hash", "shares": {"train": 1.5, "test": -0.5}}, "must be above 0"),
        ({"by": "folds", "count": 1}, "greater than or equal to 2"),
        ({"by": "folds", "count": 3, "test": "100%"}, "from 0 to below 1"),
    ],
)
def test_shares_that_cannot_be_are_refused(fields: dict[str, Any], why: str):
    with pytest.raises(ValidationError, match=why):
        by(**fields)


def test_a_key_must_be_of_a_type_that_has_equals():
    assert "'x' is float, which is no key" in misfit(by(by="group", key="x"), {"x": "float"})
    assert "'n' is int, not timestamp" in misfit(BY.model_copy(update={"column": "n"}), {"n": "int"})
    assert misfit(by(by="hash", stratify="late"), {"late": "bool"}) == ""
