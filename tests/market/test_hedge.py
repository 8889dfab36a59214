"""Hedge: the search against a full enumeration, and the bounds of a policy."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlray.market.fleet import Need, Slot
from mlray.market.hedge import Option, Stakes, hedge
from mlray.market.spec import Capacity

RATES = st.lists(st.floats(1e-7, 1e-3), min_size=4, max_size=4).map(sorted)
SPOT = st.builds(
    lambda z, p, r, h: Option(Slot(z, Capacity.SPOT), p, 0, h, 4, r), st.sampled_from("abc"), st.floats(0.2, 2), RATES, st.integers(0, 3)
)
DEAR = Option(Slot("d", Capacity.ON_DEMAND), 3.0, most=4)


def stakes(need: Need, weight: float = 300.0) -> Stakes:
    return Stakes(need, 180.0, 0.05, weight, 0.05)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(SPOT, min_size=1, max_size=3, unique_by=lambda o: o.slot), st.integers(1, 3), st.floats(1, 5000))
def test_the_search_costs_hardly_more_than_the_best_of_all(spot, ready, weight):
    options, cost = [*spot, DEAR], stakes(Need(ready), weight)
    best = min(cost.score(options, c) for c in product(range(5), repeat=len(options)))
    assert cost.score(options, hedge(options, cost)) <= best * 1.1 + 1e-9


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(SPOT, max_size=3, unique_by=lambda o: o.slot),
    st.builds(
        Need,
        ready=st.integers(0, 3),
        survive=st.integers(0, 1),
        zones=st.integers(1, 2),
        spot_share=st.sampled_from([0.0, 0.4, 0.5, 1.0]),
        on_demand=st.integers(0, 2),
        least=st.integers(0, 4),
    ),
)
def test_bounds_always_hold_where_there_is_on_demand(spot, need):
    options = [*spot, DEAR, Option(Slot("e", Capacity.ON_DEMAND), 3.5)]
    counts = hedge(options, stakes(need))
    total = sum(counts)
    on_spot = sum(n for o, n in zip(options, counts, strict=True) if o.hazards)
    wanted = max(need.ready + need.survive if need.ready else 0, need.least)
    assert total >= wanted
    assert on_spot <= need.spot_share * total + 1e-9
    assert total - on_spot >= min(need.on_demand, wanted)
    assert len({o.slot.zone for o, n in zip(options, counts, strict=True) if n}) >= min(need.zones, wanted)


@pytest.mark.parametrize("most", [0, 1, 2])
def test_never_more_than_the_most_even_where_more_are_needed(most):
    assert sum(hedge([DEAR], stakes(Need(3, most=most)))) == most


def test_dear_shortfall_buys_a_spare_and_cheap_shortfall_does_not():
    zone = Option(Slot("a", Capacity.SPOT), 1.0, hazards=[1e-6, 1e-5, 1e-5, 1e-4, 1e-4, 1e-4], most=6)
    other = Option(Slot("b", Capacity.SPOT), 1.0, hazards=[1e-6, 1e-5, 1e-5, 1e-4, 1e-4, 1e-4], most=6)
    assert sum(hedge([zone, other], stakes(Need(3), 1.0))) == 3
    assert sum(hedge([zone, other], stakes(Need(3), 3000.0))) > 3


def test_prepaid_nodes_are_used_first():
    spot = Option(Slot("a", Capacity.SPOT), 1.0, hazards=[1e-6] * 4, most=4)
    paid = Option(Slot("d", Capacity.ON_DEMAND), 3.0, prepaid=2)
    assert hedge([spot, paid], stakes(Need(3, target=0.9), 1.0)) == (1, 2)


def test_fifty_nodes_spread_so_that_one_zone_may_fall():
    spot = [Option(Slot(z, Capacity.SPOT), 1.0, hazards=[1e-5] * 80, most=80) for z in "abcd"]
    counts = hedge([*spot, Option(Slot("d", Capacity.ON_DEMAND), 3.0)], stakes(Need(50), 1e5))
    assert sum(counts) - max(counts) >= 50


def test_zones_of_one_region_fall_together_so_the_spare_stands_in_another():
    rates = [2e-6] * 4
    west = [Option(Slot(f"us-west-2{z}", Capacity.SPOT), 1.0, most=1, hazards=rates) for z in "abcd"]
    east = Option(Slot("us-east-1a", Capacity.SPOT), 1.1, most=1, hazards=rates)
    kin = Stakes(Need(1), 180.0, 0.0, 30000.0, 0.05, kinship=0.9)
    assert hedge([*west, east], kin)[-1] == 1
    assert hedge([*west, east], replace(kin, kinship=0.0))[-1] == 0


def test_a_small_saving_does_not_pay_for_a_cold_start():
    dear = Option(Slot("a", Capacity.SPOT), 1.02, held=2, hazards=[1e-6] * 2, most=2)
    cheap = Option(Slot("b", Capacity.SPOT), 1.0, hazards=[1e-6] * 2, most=2)
    assert hedge([dear, cheap], stakes(Need(2), 1.0)) == (2, 0)
    assert hedge([replace(dear, price=2.0), cheap], stakes(Need(2), 1.0)) == (0, 2)
