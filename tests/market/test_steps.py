"""The rules of deadline work, in numbers worked out by hand."""

from __future__ import annotations

import pytest

from mlray.market.steps import Choice, Standing, Task, advance, taken

HOUR = 3600.0


def task(work_h: float = 4, deadline_h: float = 8, delay_h: float = 0.25) -> Task:
    return Task(work_h, deadline_h, delay_h, HOUR, on_demand=3.0)


def test_a_launch_loses_its_delay_and_the_next_tick_works_whole():
    first = advance(task(), task().start(), Choice.SPOT, "a")
    assert first == Standing(7, 3.25, Choice.SPOT, "a", 0.0)
    assert advance(task(), first, Choice.SPOT, "a").left == 2.25


def test_a_delay_longer_than_a_tick_goes_on_in_the_next():
    slow = task(delay_h=1.75)
    first = advance(slow, slow.start(), Choice.ON_DEMAND)
    assert (first.left, first.pending) == (4, 0.75)
    second = advance(slow, first, Choice.ON_DEMAND)
    assert (second.left, second.pending) == (3.75, 0.0)


def test_a_change_of_machine_begins_a_new_delay():
    on_spot = Standing(7, 3.0, Choice.SPOT, "a")
    assert advance(task(), on_spot, Choice.SPOT, "b").left == 2.25
    assert advance(task(), on_spot, Choice.ON_DEMAND).left == 2.25
    assert advance(task(), on_spot, Choice.SPOT, "a").left == 2.0


def test_waiting_lets_the_machine_go():
    assert advance(task(), Standing(7, 3.0, Choice.SPOT, "a", 0.5), Choice.WAIT) == Standing(6, 3.0)


def test_spot_is_taken_where_it_is_not_up_and_on_demand_never():
    on_spot, on_demand = Standing(7, 3.0, Choice.SPOT, "a", 0.5), Standing(7, 3.0, Choice.ON_DEMAND, "", 0.5)
    assert taken(on_spot, {"b"}) == Standing(7, 3.0)
    assert taken(on_spot, {"a"}) == on_spot
    assert taken(on_demand, set()) == on_demand


def test_work_never_falls_below_nothing():
    assert advance(task(), Standing(3, 0.5, Choice.SPOT, "a"), Choice.SPOT, "a").done


def test_the_deadline_is_whole_ticks_downwards():
    assert Task(48, 60, 0.05, 195.0, 3.06).ticks == 1107
    assert Task(48, 52, 0.05, 195.0, 3.06).ticks == 960
    assert Task(48, 52, 0.05, 600.0, 3.06).delay == pytest.approx(0.3)


def test_lengths_that_make_no_sense_are_refused():
    for wrong in ({"work_h": 0.0}, {"deadline_h": -1.0}, {"delay_h": -0.1}):
        with pytest.raises(ValueError, match="above zero"):
            task(**wrong)
