"""Bins that nobody chose, and that come out the same however the rows were cut into blocks."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mlray.ingest import histogram
from mlray.ingest.histogram import BINS, Histogram

NUMBERS = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=0, max_size=200)


def same(left: Histogram, right: Histogram) -> bool:
    return left.to_json() == right.to_json()


@given(NUMBERS, st.lists(st.integers(0, 200), max_size=4))
def test_blocks_merge_to_the_histogram_of_all_rows(numbers: list[float], cuts: list[int]):
    blocks = np.split(np.array(numbers, float), sorted(cut for cut in cuts if cut < len(numbers)))
    merged = histogram.merge([histogram.of(block) for block in blocks])
    assert same(merged, histogram.of(np.array(numbers, float)))
    assert merged.counts.sum() == len(numbers) and len(merged.keys) <= BINS


@given(st.integers(0, 2**32))
def test_wide_columns_merge_without_error_as_well(seed: int):
    rng = np.random.default_rng(seed)
    numbers = np.concatenate([rng.normal(size=500), rng.integers(-5000, 5000, 500), 10 ** rng.uniform(-300, 300, 200)])
    rng.shuffle(numbers)
    assert same(histogram.merge([histogram.of(block) for block in np.array_split(numbers, 7)]), histogram.of(numbers))


@given(NUMBERS.filter(bool))
def test_each_number_lies_in_the_bin_that_counts_it(numbers: list[float]):
    found = histogram.of(np.array(numbers))
    for low, high, count in zip(found.low, found.high, found.counts, strict=True):
        assert sum(1 for number in numbers if low <= number < high) == count


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=300))
def test_counted_whole_numbers_give_the_same_histogram(numbers: list[int]):
    values, counts = np.unique(np.array(numbers), return_counts=True)
    assert same(histogram.of_counts(values.astype(float), counts), histogram.of(np.array(numbers, float)))


def test_years_have_a_bin_each_although_they_lie_between_two_powers_of_two():
    assert len(histogram.of(np.arange(1956.0, 2014.0)).keys) == 58


def test_minus_zero_is_zero_and_nothing_has_no_bin():
    assert len(histogram.of(np.array([0.0, -0.0])).keys) == 1
    assert histogram.of(np.zeros(0)) is histogram.EMPTY and histogram.merge([]) is histogram.EMPTY


def test_json_gives_back_the_same():
    found = histogram.of(np.array([-3.5, 0.0, 1e300, 7.0]))
    assert same(Histogram.from_json(found.to_json()), found)


def test_two_histograms_are_laid_over_the_same_bins():
    old, new = histogram.align(histogram.of(np.arange(10.0)), histogram.of(np.arange(5.0, 1000.0)))
    assert len(old) == len(new) and (old.sum(), new.sum()) == (10, 995)
