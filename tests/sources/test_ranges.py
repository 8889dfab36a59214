"""A batch takes what it may, from each partition in turn; pieces cover their ranges and keep their names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlray.sources.ranges import Range, pieces, share


def test_what_one_partition_leaves_over_goes_to_the_others():
    assert share({"0": 100, "1": 5, "2": 100}, 65) == {"0": 30, "1": 5, "2": 30}


@given(st.dictionaries(st.sampled_from("abcde"), st.integers(0, 1000), max_size=5), st.integers(1, 2000))
def test_a_batch_takes_no_more_than_it_may_and_no_less_than_there_is(there: dict[str, int], most: int):
    taken = share(there, most)
    assert sum(taken.values()) == min(most, sum(there.values()))
    assert all(taken[name] <= there[name] for name in there)


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=4), st.integers(1, 100))
def test_pieces_cover_each_range_once_and_in_order(ends: list[tuple[int, int]], rows: int):
    ranges = [Range(unit, min(pair), max(pair)) for unit, pair in enumerate(ends)]
    found = pieces(ranges, rows, "topic")
    for there in ranges:
        mine = [piece for piece in found if piece.unit == there.unit]
        assert [position for piece in mine for position in range(piece.start, piece.stop)] == list(range(there.start, there.stop))
    assert [piece.number for piece in found] == list(range(len(found)))
    assert len({piece.digest for piece in found}) == len(found)


def test_a_range_that_grows_keeps_the_pieces_that_are_full():
    before, after = pieces([Range(0, 0, 250)], 100, "topic"), pieces([Range(0, 0, 260)], 100, "topic")
    assert before[:2] == after[:2] and before[2].digest != after[2].digest
    assert pieces([Range(0, 0, 250)], 100, "other")[0].digest != before[0].digest
