"""How many replicas a load asks for, inside the room there is."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mlray.serve.scaling import Decision, Pace, Room, Steady, desired

ROOM = Room(1, 4, "the money pays 4")
PACE = Pace(target=2.0, up_after=2.0, down_after=30.0)


def decide(load: float, current: int, room: Room | None = ROOM, **changed: Any) -> Decision:
    given: dict[str, Any] = {"last": ROOM, "pace": PACE, "steady": Steady(), "now": 100.0} | changed
    return desired(load, current, room, given["last"], given["pace"], given["steady"], given["now"])


def test_six_requests_at_two_each_ask_for_three_replicas_once_it_has_lasted():
    first = decide(6.0, 1)
    assert (first.replicas, first.steady) == (1, Steady(high_since=100.0))
    assert decide(6.0, 1, steady=first.steady, now=101.9).replicas == 1
    then = decide(6.0, 1, steady=first.steady, now=102.0)
    assert (then.replicas, then.reason) == (3, "6.0 requests in progress want 3")


def test_a_lull_is_waited_out_for_thirty_seconds():
    first = decide(1.0, 3)
    assert decide(1.0, 3, steady=first.steady, now=129.9).replicas == 3
    assert decide(1.0, 3, steady=first.steady, now=130.0).replicas == 1


def test_a_load_that_comes_back_starts_the_wait_anew():
    low = decide(1.0, 3).steady
    assert decide(6.0, 3, steady=low, now=120.0).steady == Steady()
    assert decide(1.0, 3, steady=Steady(), now=131.0).replicas == 3


def test_a_load_above_what_the_money_pays_stops_at_the_ceiling_and_says_so():
    told = decide(40.0, 4)
    assert (told.replicas, told.reason) == (4, "40.0 requests in progress (20 wanted, 1..4 allowed: the money pays 4)")


def test_a_ceiling_that_falls_counts_at_once():
    told = decide(8.0, 4, Room(1, 2, "$0.40 is left"))
    assert (told.replicas, told.reason) == (2, "4 is outside 1..2: $0.40 is left")


def test_a_floor_that_rises_counts_at_once():
    assert decide(0.0, 1, Room(3, 4, "spot is scarce")).replicas == 3


def test_no_money_and_when_short_stop_means_no_replica():
    assert decide(8.0, 2, Room(0, 0, "no money is left")).replicas == 0


def test_without_an_answer_nothing_grows_and_the_floor_is_held():
    assert decide(8.0, 2, None, steady=Steady(high_since=0.0)).replicas == 2
    assert decide(8.0, 2, None, last=Room(3, 4)).replicas == 3
    told = decide(0.0, 3, None, last=Room(2, 4), steady=Steady(low_since=0.0))
    assert told.replicas == 2
    assert "no answer from the governor" in decide(8.0, 2, None).reason


def test_an_allowance_is_read_as_the_governor_tells_it():
    assert Room.read({"floor": 2, "ceiling": 3, "spot_share": 1.0, "reason": "why"}) == Room(2, 3, "why")


@given(load=st.floats(0, 1000), current=st.integers(0, 20), floor=st.integers(0, 5), more=st.integers(0, 5), since=st.floats(0, 200))
def test_the_answer_is_always_inside_the_room(load: float, current: int, floor: int, more: int, since: float):
    room = Room(floor, floor + more, "")
    told = decide(load, current, room, steady=Steady(high_since=since, low_since=since), now=200.0)
    assert room.floor <= told.replicas <= room.ceiling
