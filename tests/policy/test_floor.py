"""Floors: the fewest replicas that keep a promise when nodes go away alone, or a whole zone at once."""

from __future__ import annotations

from itertools import product
from math import comb
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlray.market.spec import Interruptions
from mlray.policy.floor import Floor, Footing, solve_floor
from mlray.policy.spec import Availability, SpotTolerance
from mlray.units import Duration, Money, Percent, Range

QUARTER = Money.parse("$0.25")


def spot(together: float = 0.0, every: float = 7200, recovery: float = 60) -> Interruptions:
    return Interruptions(every=Duration(every), recovery=Duration(recovery), together=Percent(together))


def footing(rate: Interruptions | None = None, zones: int = 1, share: float = 1.0, start_s: float | None = None) -> Footing:
    return Footing(QUARTER, 2, share, rate or spot(), None, tuple("abcdefghi"[:zones]), start_s)


def promise(min_ready: int = 1, replicas: str = "1..6", target: str = "99.9%", **more: object) -> Availability:
    return Availability.model_validate({"min_ready": min_ready, "replicas": replicas, "target": target, **more})


def floor(stands: Footing | None = None, terms: dict[str, object] | None = None, **promised: Any) -> Floor:
    return solve_floor(promise(**promised), stands or footing(), SpotTolerance.model_validate(terms or {}))


def test_so_many_may_be_lost_at_once():
    assert [floor(survive=n).replicas for n in (0, 1, 2)] == [2, 2, 3]
    assert (
        floor(survive=2).reason
        == "3 keep 1 ready 99.9999% of the time (target 99.9%, if each is lost on its own), and survive the loss of 2"
    )


def test_where_a_zone_goes_at_once_more_replicas_in_it_do_not_help():
    alone = floor(footing(spot(together=0.92)))
    assert (alone.replicas, alone.met) == (6, False)
    assert alone.reason == ("target 99.9% cannot be met: 6 replicas keep 1 ready 99.2391% of the time, 92% of losses taking a whole zone")


def test_another_zone_does():
    spread = floor(footing(spot(together=0.92), zones=3), zones=2)
    assert (spread.replicas, spread.met) == (2, True)
    assert floor(footing(spot(together=0.92), zones=1), zones=2).met is False  # there is only one


def test_a_replica_stands_in_every_promised_zone():
    assert [floor(footing(zones=n), zones=4, target="90%").replicas for n in (1, 3, 9)] == [1, 3, 4]


def test_what_is_always_on_demand_needs_fewer_spares():
    assert floor(footing(spot(0.92)), {"on_demand": 1}).replicas == 1
    assert [floor(terms={"on_demand": n}, min_ready=2).replicas for n in (0, 1, 2)] == [3, 3, 2]
    assert floor(terms={"on_demand": 3}).replicas == 3


def test_a_share_on_spot_is_rounded_so_that_no_more_stand_there():
    assert floor(footing(spot(0.92)), {"share": "50%"}).replicas == 1  # half of one replica is none
    assert floor(footing(spot(0.92)), {"share": "50%"}, min_ready=2).replicas == 3  # of two, one would stand on spot


def test_one_stays_where_a_first_replica_takes_too_long():
    zero: dict[str, Any] = {"min_ready": 0, "replicas": "0..4"}
    assert floor(**zero) == Floor(0, True, "none is promised ready")
    assert floor(footing(start_s=100), **zero, cold_start="2m").replicas == 0
    assert floor(footing(start_s=121), **zero, cold_start="2m") == Floor(
        1, True, "1 stays, for a first replica may take longer than the promised cold start"
    )
    assert floor(footing(), **zero, cold_start="2m").replicas == 0  # a lost one's successor takes a minute
    assert floor(Footing(QUARTER, 0, 0.0), **zero, cold_start="2m").replicas == 1  # nobody knows how long it takes


def test_a_window_that_scales_to_zero_keeps_one_for_its_cold_start():
    away = promise().model_copy(update={"min_ready": 0, "replicas": Range(0, 0), "cold_start": Duration(120)})
    assert [solve_floor(away, footing(start_s=s)).replicas for s in (60, 600)] == [0, 1]


def test_hundreds_of_replicas_are_counted_as_well():
    many = floor(min_ready=500, replicas="500..1000", target="99.99%")
    assert (many.replicas, many.met) == (514, True)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.floats(0, 1), st.floats(0.5, 0.99), st.integers(0, 2), st.sampled_from([0.5, 1.0]))
def test_the_floor_is_what_counting_every_case_finds(k: int, zones: int, together: float, target: float, on_demand: int, share: float):
    rate, high = spot(round(together, 3), 1000, 200), 7
    found = solve_floor(
        promise(k, f"1..{high}").model_copy(update={"target": Percent(target), "zones": zones}),
        footing(rate, zones=zones),
        SpotTolerance(share=Percent(share), on_demand=on_demand),
    )
    chances = {n: counted(k, n, zones, rate, min(max(0, n - on_demand), int(n * share))) for n in range(1, high + 1)}
    enough = [n for n, chance in chances.items() if chance >= target and n >= max(k, on_demand, zones if zones > 1 else 0)]
    assert (found.replicas, found.met) == ((enough[0], True) if enough else (high, chances[high] >= target))


def at_least(k: int, n: int, chance: float) -> float:
    return sum(comb(n, i) * chance**i * (1 - chance) ** (n - i) for i in range(k, n + 1))


def counted(k: int, n: int, zones: int, rate: Interruptions, on_spot: int) -> float:
    """By every case of zones up or down and spot nodes up or down; those on demand are always up."""
    shock, own = (1000 / (1000 + part * 200) for part in (rate.together.fraction, 1 - rate.together.fraction))
    total = 0.0
    for zones_up in product([True, False], repeat=zones):
        zone_chance = shock ** sum(zones_up) * (1 - shock) ** (zones - sum(zones_up))
        standing = sum(zones_up[i % zones] for i in range(on_spot))
        missing = k - (n - on_spot)
        total += zone_chance * (at_least(missing, standing, own) if missing > 0 else 1.0)
    return total


@pytest.mark.parametrize("share", [1.0, 0.5, 0.0])
def test_nothing_declared_of_spot_holds_what_is_promised(share: float):
    held = solve_floor(promise(2, survive=1), Footing(QUARTER, 2, share))
    assert (held.replicas, held.met) == (3, share == 0.0)
    assert ("not declared" in held.reason) is (share > 0)
