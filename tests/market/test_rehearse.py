"""The replay of deadline work, the simple policies and foresight, against costs worked out by hand and by brute force."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlray.market import rules
from mlray.market.foresight import cheapest
from mlray.market.rehearse import Offered, Policy, offers_of, price, rehearse
from mlray.market.steps import Choice, Standing, Task, advance, taken
from mlray.market.trace import Trace

HOUR = 3600.0
SPOT, ON_DEMAND, WAIT = Choice.SPOT, Choice.ON_DEMAND, Choice.WAIT


def offered(text: str, spot: float = 1.0) -> list[Offered]:
    """`a` and `b` are zones up in a tick of their own, `*` both, `.` none."""
    return [{zone: spot for zone in "ab" if zone == mark or mark == "*"} for mark in text]


def task(work_h: float, deadline_h: float, delay_h: float = 0.25, tick_s: float = HOUR) -> Task:
    return Task(work_h, deadline_h, delay_h, tick_s, on_demand=3.0)


def greedy(asked: Task) -> Policy:
    return lambda tick, standing, now: rules.greedy(asked, standing, now)


def uniform(asked: Task) -> Policy:
    return lambda tick, standing, now: rules.uniform(asked, standing, now)


def test_spot_that_stays_costs_the_work_and_one_delay():
    run = rehearse(task(2, 6), offered("aaaaaa"), greedy(task(2, 6)))
    assert (run.dollars, run.late, run.ticks, run.launches) == (3.0, False, 3, 1)  # 2.25 h of spot, in whole ticks


def test_greedy_waits_and_then_takes_on_demand_for_good():
    # 2 h of work in 6 h: spot in the first tick (0.75 h done), then nothing. 1.25 h + 0.25 h need two ticks: forced with two left.
    run = rehearse(task(2, 6), offered("a....a"), greedy(task(2, 6)))
    assert (run.dollars, run.ticks, run.launches) == (1.0 + 2 * 3.0, 6, 2)


def test_uniform_progress_takes_on_demand_when_behind_and_stays_until_spot_returns():
    # 4 h of work in 8 h: half of what passed should be done. Spot: .75, then 1.75 h. Then 1, 1.5 and 2 h are asked: behind after 4 h.
    chosen = []

    def noted(tick: int, standing: Standing, now: Offered) -> tuple[Choice, str]:
        chosen.append(rules.uniform(task(4, 8), standing, now))
        return chosen[-1]

    run = rehearse(task(4, 8), offered("aa...aaa"), noted)
    assert [choice for choice, _ in chosen] == [SPOT, SPOT, WAIT, WAIT, ON_DEMAND, SPOT, SPOT]
    assert run.dollars == 2 + 3 + 2  # .75 of on-demand, then .75 and 1 of spot: 4.25 in all


def test_uniform_progress_moves_to_the_cheapest_zone_at_once():
    now = {"a": 2.0, "b": 1.0}
    assert rules.uniform(task(4, 8), Standing(6, 3.0), now) == (SPOT, "b")
    assert rules.uniform(task(4, 8), Standing(6, 3.0, SPOT, "a"), now) == (SPOT, "a")


def test_work_that_is_not_done_is_late():
    run = rehearse(task(2, 4), offered("...."), lambda tick, standing, now: (WAIT, ""))
    assert (run.late, run.dollars) == (True, 0.0)


def test_what_cannot_be_had_is_refused():
    with pytest.raises(ValueError, match="not up"):
        rehearse(task(2, 4), offered("...."), lambda tick, standing, now: (SPOT, "a"))
    with pytest.raises(ValueError, match="record of 2 ticks"):
        rehearse(task(2, 4), offered("aa"), greedy(task(2, 4)))


def test_offers_come_from_traces_with_their_prices():
    a = Trace("a", HOUR, np.array([1, 0, 2]), np.array([0.5, 0.6, 0.7]))
    b = Trace("b", HOUR, np.array([0, 0, 1, 1]))
    assert offers_of([a, b], spot=1.0) == ({"a": 0.5}, {}, {"a": 0.7, "b": 1.0})
    with pytest.raises(ValueError, match="no price"):
        offers_of([b])


def test_foresight_skips_the_short_and_waits_for_the_long():
    # The lone tick in front would give 0.75 h for $1 and another delay; four ticks at the end do the 3 h alone.
    assert cheapest(task(3, 7), offered("a..aaaa")) == 4.0
    # With one tick less, on-demand helps: spot 2.75 h of three ticks; 0.25 h are missing, and the lone tick gives them for $1.
    assert cheapest(task(3, 6), offered("a..aaa")) == 4.0
    # All on-demand: 3.25 h in whole ticks.
    assert cheapest(task(3, 6), offered("......")) == 12.0


def test_foresight_of_work_that_cannot_be_in_time_is_infinite():
    assert cheapest(task(4, 4), offered("aaaa")) == float("inf")


def brute(asked: Task, now: list[Offered]) -> float:
    """Every choice in every tick, by the replay's own rules."""

    @cache
    def least(standing: Standing) -> float:
        if standing.done:
            return 0.0
        if standing.time == 0:
            return float("inf")
        here = now[asked.ticks - standing.time]
        standing = taken(standing, here)
        options = [(WAIT, ""), (ON_DEMAND, ""), *((SPOT, zone) for zone in here)]
        return min(asked.price(price(asked, c, z, here)) + least(advance(asked, standing, c, z)) for c, z in options)

    return least(asked.start())


MARKETS = st.lists(
    st.fixed_dictionaries({}, optional={"a": st.sampled_from([0.5, 1.0, 2.0]), "b": st.sampled_from([0.7, 1.0])}), min_size=8, max_size=8
)


@settings(max_examples=60, deadline=None)
@given(MARKETS, st.sampled_from([0.0, 0.25, 0.5, 1.0, 1.25, 2.5]), st.sampled_from([2.0, 3.0, 4.5]), st.sampled_from([5.0, 7.0, 8.0]))
def test_foresight_is_what_brute_force_finds(now: list[Offered], delay_h: float, work_h: float, deadline_h: float):
    asked = task(work_h, deadline_h, delay_h)
    assert cheapest(asked, now) == pytest.approx(brute(asked, now))


def test_foresight_is_the_best_of_all_plans_of_a_short_market():
    asked, now = task(2, 5), offered("a.b*a")

    def played(plan: tuple[Choice, ...]) -> Policy:
        return lambda tick, standing, here: (plan[tick], min(here)) if plan[tick] is SPOT and here else (without(plan[tick]), "")

    def without(choice: Choice) -> Choice:
        return WAIT if choice is SPOT else choice

    runs = [rehearse(asked, now, played(plan)) for plan in product([WAIT, ON_DEMAND, SPOT], repeat=5)]
    assert min(run.dollars for run in runs if not run.late) == pytest.approx(cheapest(asked, now))


@settings(max_examples=60, deadline=None)
@given(
    st.text("ab.*", min_size=12, max_size=12), st.sampled_from([0.0, 0.25, 1.2]), st.sampled_from([3.0, 6.5]), st.sampled_from([10.0, 12.0])
)
def test_the_simple_policies_are_never_late_where_on_demand_fits(text: str, delay_h: float, work_h: float, deadline_h: float):
    asked = task(work_h, deadline_h, delay_h)
    for policy in (greedy(asked), uniform(asked)):
        run = rehearse(asked, offered(text), policy)
        assert not run.late
        assert run.dollars >= cheapest(asked, offered(text)) - 1e-9
