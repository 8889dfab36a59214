"""A join adds columns and nothing else."""

from __future__ import annotations

import pyarrow as pa
import pytest

from mlray.errors import WorkError
from mlray.ingest.join import add, side
from mlray.ingest.spec import Join

FLIGHTS = pa.table({"_line": [2, 3, 4, 5, 6], "origin": ["JFK", "EWR", None, "JFK", "LGA"], "hour": [1, 1, 1, 2, None]})
WEATHER = pa.table({"origin": ["EWR", "JFK", "JFK", None], "hour": [1, 2, 1, 1], "temp": [10.0, 20.0, 30.0, 99.0], "gust": [1, 2, 3, 9]})
JOIN = Join(source="weather", on=("origin", "hour"), take={"temp": "degrees"})


def test_rows_keep_their_number_and_order_and_a_missing_key_equals_nothing():
    joined = add(FLIGHTS, side(WEATHER, JOIN), JOIN)
    assert joined["degrees"].to_pylist() == [30.0, 10.0, None, 20.0, None]
    assert joined.drop_columns("degrees").equals(FLIGHTS)


def test_keys_may_have_another_name_there():
    airports = pa.table({"faa": ["EWR", "JFK"], "alt": [18, 13]})
    join = Join(source="airports", on={"faa": "origin"}, take=("alt", "faa"))
    joined = add(FLIGHTS, side(airports, join), join)
    assert (joined["alt"].to_pylist(), joined["faa"].to_pylist()) == ([13, 18, None, 13, None], ["JFK", "EWR", None, "JFK", None])


def test_repeated_keys_are_refused_because_they_would_multiply_rows():
    twice = pa.concat_tables([WEATHER, WEATHER.slice(0, 2)])
    with pytest.raises(WorkError, match="2 rows of weather repeat the key origin, hour") as refused:
        side(twice, JOIN)
    assert "repeats: first" in refused.value.hint


def test_of_repeated_keys_the_first_counts_where_that_was_declared():
    twice = pa.concat_tables([WEATHER, pa.table({"origin": ["JFK"], "hour": [1], "temp": [-5.0], "gust": [0]})])
    join = JOIN.model_copy(update={"repeats": "first"})
    assert add(FLIGHTS, side(twice, join), join)["degrees"].to_pylist() == [30.0, 10.0, None, 20.0, None]


def test_missing_keys_that_repeat_there_are_no_repetition():
    assert side(pa.concat_tables([WEATHER, WEATHER.slice(3, 1)]), JOIN).num_rows == 3


def test_ten_thousand_rows_stay_in_order():
    rows = pa.table({"_line": range(10_000), "key": [i % 97 for i in range(10_000)]})
    there = pa.table({"key": list(range(96, -1, -1)), "twice": [2 * k for k in range(96, -1, -1)]})
    join = Join(source="there", on=("key",), take=("twice",))
    joined = add(rows, side(there, join), join)
    assert joined["_line"].to_pylist() == list(range(10_000))
    assert joined["twice"].to_pylist() == [2 * (i % 97) for i in range(10_000)]


def test_a_block_without_rows_joins_to_one_without_rows():
    joined = add(FLIGHTS.slice(0, 0), side(WEATHER, JOIN), JOIN)
    assert (joined.num_rows, joined.column_names) == (0, ["_line", "origin", "hour", "degrees"])
