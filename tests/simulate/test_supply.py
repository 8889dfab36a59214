"""What a market offers tick by tick, read from traces of any tick."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mlray.errors import SpecError
from mlray.market.fleet import Slot
from mlray.market.spec import Capacity
from mlray.simulate.supply import UNLIMITED, Vein, supply
from mlray.units import Price
from tests.simulate.scenes import DEAR, SPOT_A, SPOT_B, trace


def vein(found: tuple[Vein, ...], zone: str, capacity: Capacity = Capacity.SPOT) -> Vein:
    return next(v for v in found if v.slot == Slot(zone, capacity))


def test_a_tick_has_the_state_of_the_trace_as_it_begins_and_a_trace_that_ends_begins_anew():
    found = supply((SPOT_A,), (trace("a", [3, 1, 2], 90.0),), 7, 60.0)
    assert vein(found.veins, "a").nodes.tolist() == [3, 3, 1, 2, 2, 3, 1]
    assert vein(found.veins, "a").falls == {2, 6}


def test_prices_follow_the_trace_and_one_that_nobody_recorded_is_the_cluster_files():
    found = supply((SPOT_A,), (trace("a", [1, 1, 1], price=[float("nan"), 0.25, 0.25]),), 3, 60.0)
    assert [vein(found.veins, "a").at(tick).price for tick in range(3)] == [SPOT_A.price, Price.parse("$0.25/h"), Price.parse("$0.25/h")]
    assert list(found.repriced) == [1]


def test_on_demand_can_always_be_had_up_to_what_the_cluster_allows():
    found = supply((DEAR, SPOT_A), (trace("a", [9]),), 2, 60.0, most={"dear": 5, "spot-a": 4})
    assert vein(found.veins, "a", Capacity.ON_DEMAND).nodes.tolist() == [5, 5]
    assert vein(found.veins, "a").nodes.tolist() == [4, 4]
    assert vein(supply((DEAR,), (), 1, 60.0).veins, "a", Capacity.ON_DEMAND).nodes.tolist() == [UNLIMITED]


def test_spot_in_a_zone_without_a_trace_cannot_be_had():
    found = supply((SPOT_A, SPOT_B), (trace("a", [1]),), 1, 60.0)
    assert vein(found.veins, "b").nodes.tolist() == [0]


def test_traces_that_tell_when_they_were_recorded_stand_side_by_side():
    start = datetime(2026, 1, 5, tzinfo=UTC)
    early = replace(trace("a", [1, 2, 3, 4]), start=start)
    late = replace(trace("b", [7, 8]), start=start + timedelta(minutes=2))
    found = supply((SPOT_A, SPOT_B), (early, late), 2, 60.0, start + timedelta(minutes=2))
    assert [vein(found.veins, zone).nodes.tolist() for zone in "ab"] == [[3, 4], [7, 8]]


def test_the_trace_of_the_node_type_is_taken_before_that_of_the_zone():
    other, own = replace(trace("a", [1]), node_type="k80"), replace(trace("a", [6]), node_type="spot-a")
    assert vein(supply((SPOT_A,), (other, own), 1, 60.0).veins, "a").nodes.tolist() == [6]


def test_the_cheapest_type_stands_for_a_slot():
    cheap = replace(SPOT_A, node_type="cheap", price=Price.parse("$0.10/h"))
    assert vein(supply((SPOT_A, cheap), (trace("a", [1]),), 1, 60.0).veins, "a").offer == cheap


def test_traces_of_other_zones_are_refused_in_one_sentence():
    with pytest.raises(SpecError, match=r"spot nodes stand in a, b, the traces are of us-east-1a"):
        supply((SPOT_A, SPOT_B, DEAR), (trace("us-east-1a", [1]),), 1, 60.0)
