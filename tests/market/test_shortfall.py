"""Shortfall: the chance that too many are missing, against counting every case."""

from __future__ import annotations

from itertools import pairwise, product
from math import exp, prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlray.market.shortfall import chances, merged, missing_more

ZONE = st.lists(st.floats(0, 1), min_size=1, max_size=4).map(lambda c: tuple(sorted(c, reverse=True)))


def exactly(zone: tuple[float, ...]) -> list[float]:
    return [a - b for a, b in zip((1.0, *zone), (*zone, 0.0), strict=True)]


@given(st.lists(ZONE, max_size=4), st.integers(0, 8))
def test_independent_zones_are_the_sum_over_all_cases(zones, spare):
    by_case = sum(
        prod(exactly(z)[k] for z, k in zip(zones, case, strict=True))
        for case in product(*(range(len(z) + 1) for z in zones))
        if sum(case) > spare
    )
    assert missing_more(zones, spare, 0.0) == pytest.approx(by_case, abs=1e-9)


@given(st.lists(ZONE, max_size=4), st.integers(0, 8))
def test_zones_that_fall_together_are_never_less_likely_short(zones, spare):
    assert missing_more(zones, spare, 1.0) >= missing_more(zones, spare, 0.0) - 1e-12


def test_one_luck_takes_the_worst_part_of_the_time():
    assert missing_more([(0.1, 0.02), (0.05,)], 2, 1.0) == pytest.approx(0.02)


def test_too_few_nodes_are_always_short():
    assert missing_more([], -1, 0.0) == 1.0


def test_the_chance_of_a_loss_in_a_window():
    assert chances([0.001, 0.01], 2, 60.0) == (1 - exp(-0.6), 1 - exp(-0.06))


@given(st.lists(ZONE, min_size=1, max_size=4), st.integers(0, 15))
def test_a_region_whose_zones_fall_apart_is_as_short_as_its_zones(zones, spare):
    assert missing_more([merged(tuple(zones), 0.0)], spare, 0.0) == pytest.approx(missing_more(zones, spare, 0.0), abs=1e-9)


def test_zones_of_a_region_with_one_luck_fall_as_one():
    assert merged(((0.1,), (0.1,), (0.1,)), 1.0)[2] == pytest.approx(0.1)
    assert merged(((0.1,), (0.1,), (0.1,)), 0.5)[2] == pytest.approx(0.5 * 0.1 + 0.5 * 0.001)


@given(st.lists(ZONE, min_size=1, max_size=4), st.floats(0, 1))
def test_the_chance_of_more_missing_never_rises(zones, kinship):
    found = merged(tuple(zones), kinship)
    assert len(found) == sum(map(len, zones))
    assert all(a >= b - 1e-12 for a, b in pairwise(found))
