"""Hazards: learned from what is lost, by calm and by nodes left."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlray.market.fleet import Seen
from mlray.market.hazard import HOUR, LEVELS, QUANTUM_S, Company, History, ZoneHistory, column, learn

LONG = 10 * HOUR


def watched(hours: float, nodes: int = 3, zone: str = "a") -> History:
    """So many hours in which nothing was lost."""
    history = learn(History(), Seen(0.0, ((zone, nodes),)))
    for quarter in range(1, int(hours * 4) + 1):
        history = learn(history, Seen(quarter * 900.0, ((zone, nodes),)))
    return history


def hazards(history: History, zone: str = "a", nodes: int = 4, calm_s: float = LONG) -> list[float]:
    return history.hazards(history.of(zone), nodes, calm_s)


def test_nothing_happened_is_the_very_same_history():
    history = watched(1)
    assert learn(history, Seen(history.at_s + QUANTUM_S - 1, history.held)) is history


def test_quiet_hours_make_a_zone_safer_and_a_loss_makes_it_worse():
    quiet = watched(48)
    lost = learn(quiet, Seen(quiet.at_s + 60, (("a", 1),), lost=(("a", 2),)))
    assert hazards(quiet)[0] < hazards(History())[0]
    assert hazards(lost)[1] > hazards(quiet)[1]


def test_a_loss_counts_only_for_those_who_hold_more_than_was_left():
    quiet = watched(48)
    lost = learn(quiet, Seen(quiet.at_s + 60, (("a", 2),), lost=(("a", 1),)))
    assert hazards(lost)[2] > hazards(quiet)[2]
    assert hazards(lost)[:2] == pytest.approx(hazards(quiet)[:2], rel=0.01)


def test_a_zone_that_falls_often_is_worse_than_one_that_does_not():
    history = learn(History(), Seen(0.0, (("a", 3), ("b", 3))))
    for hour in range(1, 25):
        history = learn(history, Seen(hour * HOUR, (("b", 3),), lost=(("a", 3),)))
        history = learn(history, Seen(hour * HOUR, (("a", 3), ("b", 3))))
    assert hazards(history, "a")[0] > 3 * hazards(history, "b")[0]


def test_zones_shut_after_a_loss_and_longer_the_longer_they_are_full():
    history = learn(History(), Seen(0.0, lost=(("a", 1),)))
    assert history.of("a").shut_until(300.0) == 300.0
    for minute in range(0, 601, 5):
        history = learn(history, Seen(minute * 60.0, refused=("b",)))
    assert history.of("b").shut_until(300.0) == 600 * 60 + 1800.0
    history = learn(history, Seen(601 * 60.0, (("b", 1),)))
    history = learn(history, Seen(610 * 60.0, (("b", 1),)))
    assert history.of("b").full_since == float("-inf")


def lost(history: History, now_s: float, zone: str) -> History:
    held = tuple((z, 1) for z in ("us-east-1a", "us-west-2a", "us-west-2b") if z != zone)
    return learn(replace(history, held=(*held, (zone, 1))), Seen(now_s, held, lost=((zone, 1),)))


def test_losses_within_three_minutes_came_together():
    apart = lost(lost(History(), 0.0, "us-west-2a"), 1000.0, "us-west-2b")
    near = lost(lost(History(), 0.0, "us-west-2a"), 100.0, "us-west-2b")
    assert (apart.near, near.near) == (Company(2, 0), Company(1, 1))
    assert near.kinship > apart.kinship
    assert near.coupling <= History().coupling


def test_losses_of_several_regions_say_nothing_of_zones_in_one():
    found = lost(lost(History(), 0.0, "us-west-2a"), 100.0, "us-east-1a")
    assert found.far == Company(1, 1) and found.near.fell == 0
    assert found.coupling > History().coupling


def test_one_zone_crumbling_node_by_node_is_no_company():
    assert lost(lost(History(), 0.0, "us-west-2a"), 60.0, "us-west-2a").near == Company(1, 0)


def test_asking_for_more_where_a_node_runs_says_nothing_new_and_is_asked_ever_less():
    history = learn(History(), Seen(0.0, (("a", 1),), refused=("a",)))
    for minute in range(60, 660, 60):
        history = learn(history, Seen(minute * 60.0, (("a", 1),), refused=("a",)))
    zone = history.of("a")
    assert zone.calm_s(36000.0) == 36000.0
    assert zone.shut_until(60.0) == 36000.0 + 1800.0


def test_where_nothing_runs_each_refusal_shows_that_room_is_short():
    history = learn(learn(History(), Seen(0.0, refused=("a",))), Seen(36000.0, refused=("a",)))
    assert history.of("a").calm_s(36060.0) == 60.0


def test_another_node_had_ends_the_row_of_refusals():
    history = learn(learn(History(), Seen(0.0, (("a", 1),), refused=("a",))), Seen(60.0, (("a", 2),)))
    assert history.of("a").full_since == float("-inf")


def test_notices_that_come_lower_the_share_that_does_not():
    seen = [learn(History(), Seen(0.0, lost=(("a", 40),), warned=warned)).unwarned for warned in (0, 38, 40)]
    assert seen == sorted(seen, reverse=True)


def test_time_short_of_nodes_is_counted():
    history = learn(learn(learn(History(), Seen(0.0, short=True)), Seen(60.0)), Seen(600.0))
    assert (history.short_s, history.counted_s) == (60.0, 600.0)


@given(st.integers(1, 300), st.floats(0, 1e6), st.lists(st.tuples(st.integers(0, 30), st.integers(1, 30)), max_size=5))
def test_hazards_never_fall_with_the_nodes_held_and_are_one_for_each(nodes, calm_s, losses):
    history = watched(2, 60)
    for at, (left, gone) in enumerate(losses):
        history = learn(history, Seen(history.at_s + 60.0 * at, (("a", left),) if left else (), lost=(("a", gone),)))
    found = history.hazards(history.of("a"), nodes, calm_s)
    assert len(found) == nodes and found == sorted(found) and found[0] > 0


@given(st.integers(0, 10_000))
def test_a_column_is_the_last_level_not_above(left):
    at = column(left)
    assert LEVELS[at] <= left and (at + 1 == len(LEVELS) or left < LEVELS[at + 1])


def test_a_zone_never_seen_is_as_all_zones_are():
    assert ZoneHistory("new").factor(3) == 1.0
