"""A join adds columns and nothing else."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mlray.errors import WorkError
from mlray.ingest.blend import Join
from mlray.ingest.join import add, side

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


def moments(*minutes: int | None) -> pa.Array:
    return pa.array([None if m is None else m * 60_000_000 for m in minutes], pa.timestamp("us", tz="UTC"))


TRADES = pa.table({"_line": [2, 3, 4, 5, 6, 7], "desk": ["a", "b", "a", "a", None, "a"], "at": moments(10, 10, 3, 20, 10, None)})
QUOTES = pa.table({"name": ["a", "a", "b", "a", "b"], "at": moments(12, 4, 9, None, 30), "price": [1.2, 0.4, 0.9, 7.0, 3.0]})


@pytest.mark.parametrize(
    "direction, within, prices",
    [
        ("backward", None, [0.4, 0.9, None, 1.2, None, None]),
        ("backward", "5m", [None, 0.9, None, None, None, None]),
        ("forward", None, [1.2, 3.0, 0.4, None, None, None]),
        ("forward", "1m", [None, None, 0.4, None, None, None]),
        ("nearest", None, [1.2, 0.9, 0.4, 1.2, None, None]),
    ],
)
def test_as_of_a_time_the_nearest_row_in_one_direction_is_taken(direction: str, within: str | None, prices: list[float | None]):
    as_of = {"here": "at", "there": "at", "direction": direction} | ({"within": within} if within else {})
    join = Join.model_validate({"source": "quotes", "on": {"name": "desk"}, "as_of": as_of, "take": ["price"]})
    joined = add(TRADES, side(QUOTES, join), join)
    assert joined["price"].to_pylist() == prices
    assert joined.drop_columns("price").equals(TRADES)


def test_of_two_as_near_the_earlier_counts_and_a_join_may_be_by_time_alone():
    join = Join.model_validate({"source": "quotes", "as_of": {"here": "at", "there": "at", "direction": "nearest"}, "take": ["price"]})
    here = pa.table({"at": moments(8, 100, None)})
    assert add(here, side(QUOTES.slice(0, 2), join), join)["price"].to_pylist() == [0.4, 1.2, None]
    assert add(here, side(QUOTES.slice(0, 0), join), join)["price"].to_pylist() == [None, None, None]


def test_a_time_that_repeats_there_is_a_repeated_key():
    join = Join.model_validate({"source": "quotes", "on": {"name": "desk"}, "as_of": {"here": "at", "there": "at"}, "take": ["price"]})
    with pytest.raises(WorkError, match="1 rows of quotes repeat the key name, at"):
        side(pa.concat_tables([QUOTES, QUOTES.slice(0, 1)]), join)


def test_blocks_find_what_one_join_of_everything_finds():
    rng = np.random.default_rng(7)
    there = pa.table({"key": rng.permutation(5000)[:3000], "word": [f"w{i}" for i in range(3000)]})
    here = pa.table({"key": rng.integers(0, 5000, 20_000)})
    join = Join(source="there", on=("key",), take=("word",))
    ready = side(there, join)
    blocks = pa.concat_tables([add(here.slice(start, 999), ready, join) for start in range(0, 20_000, 999)])
    word = dict(zip(there["key"].to_pylist(), there["word"].to_pylist(), strict=True))
    assert blocks["word"].to_pylist() == [word.get(key) for key in here["key"].to_pylist()]


def test_a_join_needs_a_key_or_a_time():
    with pytest.raises(ValueError, match="needs `on`, `as_of`, or both"):
        Join(source="there", take=("word",))
