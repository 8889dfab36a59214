"""Deadline work: never late where on-demand fits, with history and without, and cheaper than simple rules on markets like the learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlray.market import rules
from mlray.market.deadline import decide, plan_work
from mlray.market.foresight import cheapest
from mlray.market.guard import safe
from mlray.market.horizon import Plan, plan
from mlray.market.regimes import Regimes
from mlray.market.rehearse import Offered, Policy, Rehearsal, rehearse
from mlray.market.steps import Choice, Standing, Task, advance
from mlray.market.trace import Trace
from mlray.market.zones import Market, Watch

TICK_S, PRICES = 600.0, {"a": 1.0, "b": 1.2}


def offered(text: str) -> list[Offered]:
    return [{zone: PRICES[zone] for zone in "ab" if mark in (zone, "*")} for mark in text]


def ours(course: Plan, market: Market) -> Policy:
    """As it is used live: the belief is folded from what each tick shows."""
    watch = Watch.fresh(market)

    def choose(tick: int, standing: Standing, now: Offered) -> tuple[Choice, str]:
        nonlocal watch
        watch = watch.seen({zone: zone in now for zone in market.zones})
        decision = decide(course, watch, standing, now)
        assert decision.reason
        return decision.choice, decision.zone

    return choose


def trace(zone: str, stays: tuple[float, float], ticks: int, seed: int) -> Trace:
    rng = np.random.default_rng(seed)
    nodes: list[int] = []
    state = 1
    while len(nodes) < ticks:
        nodes += [state] * int(1 + rng.geometric(1 / stays[state]))
        state = 1 - state
    return Trace(zone, TICK_S, np.array(nodes[:ticks]))


HISTORY = [trace("a", (20, 20), 1500, 1), trace("b", (12, 30), 1500, 2)]
KNOWN = Market.learned(HISTORY, ["a", "b"], TICK_S)
BARE = Market.learned([], ["a", "b"], TICK_S)
SHORT = Task(2.0, 3.0, 0.2, TICK_S, on_demand=3.0)
COURSES = {
    id(market): {delay: plan_work(Task(2.0, 3.0, delay, TICK_S, 3.0), market, PRICES) for delay in (0.05, 0.2, 0.5)}
    for market in (KNOWN, BARE)
}


@settings(max_examples=80, deadline=None)
@given(st.text("ab*.", min_size=18, max_size=18), st.sampled_from([0.05, 0.2, 0.5]), st.booleans())
def test_any_market_is_finished_in_time(text: str, delay_h: float, bare: bool):
    market = BARE if bare else KNOWN
    course = COURSES[id(market)][delay_h]
    run = rehearse(course.task, offered(text), ours(course, market))
    assert not run.late
    assert run.dollars >= cheapest(course.task, offered(text)) - 1e-9


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 18),
    st.floats(0.01, 18.0),
    st.sampled_from(
        [(Choice.WAIT, "", 0.0), (Choice.ON_DEMAND, "", 0.0), (Choice.ON_DEMAND, "", 0.7), (Choice.SPOT, "a", 0.0), (Choice.SPOT, "a", 0.2)]
    ),
    st.sampled_from(["", "a", "b", "*"]),
)
def test_from_any_standing_that_on_demand_can_save_the_next_one_is_such_again(
    time: int, left: float, on: tuple[Choice, str, float], up: str
):
    course = COURSES[id(KNOWN)][0.2]
    standing = Standing(time, left, *on)
    if on[0] is Choice.SPOT and on[1] not in up.replace("*", "ab"):
        return
    if not safe(course.task, standing, Choice.ON_DEMAND):
        return
    decision = decide(
        course, Watch.fresh(KNOWN).seen({"a": True, "b": True}), standing, {zone: PRICES[zone] for zone in up.replace("*", "ab")}
    )
    after = advance(course.task, standing, decision.choice, decision.zone)
    gone = after if after.on is Choice.ON_DEMAND else Standing(after.time, after.left)
    assert after.done or safe(course.task, gone, Choice.ON_DEMAND)


def test_the_guard_forces_on_demand_at_the_last_tick_that_fits():
    # 6 ticks of work and a delay of 1.2 need 8 whole ticks.
    assert safe(SHORT, Standing(9, 6.0), Choice.WAIT)
    assert not safe(SHORT, Standing(8, 6.0), Choice.WAIT)
    assert safe(SHORT, Standing(8, 6.0), Choice.ON_DEMAND)
    # A launch on spot takes 1.2 ticks and may be for nothing; spot at work loses no time.
    assert not safe(SHORT, Standing(8, 6.0), Choice.SPOT, "a")
    assert safe(SHORT, Standing(8, 6.0, Choice.SPOT, "a"), Choice.SPOT, "a")
    # On on-demand nothing needs to be spared for another launch.
    assert safe(SHORT, Standing(6, 6.0, Choice.ON_DEMAND), Choice.ON_DEMAND)


def test_a_margin_is_kept_on_top():
    careful = Task(2.0, 3.0, 0.2, TICK_S, 3.0, margin_h=1 / 6)
    assert safe(careful, Standing(10, 6.0), Choice.WAIT)
    assert not safe(careful, Standing(9, 6.0), Choice.WAIT)


def test_forced_on_demand_says_so_and_so_does_work_that_may_be_late():
    course = COURSES[id(KNOWN)][0.2]
    watch = Watch.fresh(KNOWN).seen({"a": False, "b": False})
    forced = decide(course, watch, Standing(8, 6.0), {})
    assert forced.choice is Choice.ON_DEMAND
    assert forced.reason == "1.0 h of work are left and 0.3 h to spare: only on-demand is still sure to be in time"
    late = decide(course, watch, Standing(6, 6.0), {})
    assert (late.choice, late.reason.endswith("may be late")) == (Choice.ON_DEMAND, True)
    hope = decide(course, watch, Standing(6, 5.5, Choice.SPOT, "a"), {"a": 1.0})
    assert (hope.choice, hope.zone) == (Choice.SPOT, "a")


def test_a_reason_names_the_choice_what_else_would_cost_and_the_time_to_spare():
    course = COURSES[id(KNOWN)][0.05]
    said = decide(course, Watch.fresh(KNOWN).seen({"a": True, "b": False}), course.task.start(), {"a": 1.0})
    assert (said.choice, said.zone) == (Choice.SPOT, "a")
    assert said.reason.startswith("spot in a: the rest is expected to cost $")
    assert "on-demand now $" in said.reason and said.reason.endswith("2.0 h of work, 1.0 h to spare")


def test_spot_at_work_is_kept_and_the_cheaper_zone_is_taken_first():
    course = COURSES[id(BARE)][0.2]
    watch = Watch.fresh(BARE).seen({"a": True, "b": True})
    assert decide(course, watch, course.task.start(), PRICES).zone == "a"
    assert decide(course, watch, Standing(17, 11.0, Choice.SPOT, "b"), PRICES).zone == "b"  # a launch costs more than 20 cents an hour save


def test_done_work_needs_nothing():
    assert decide(COURSES[id(BARE)][0.2], Watch.fresh(BARE), Standing(3, 0.0), {}).choice is Choice.WAIT


def one_way(up: float, down: float) -> Regimes:
    """A market of one regime without memory: the chances to go up and to go down in a tick."""
    return Regimes(TICK_S, np.array([[[up], [down]]]), np.array([0]), np.ones(1), 0.0)


def test_a_plan_of_two_ticks_is_what_can_be_worked_out_by_hand():
    """One tick of work in two, no delay; spot $0.60, on-demand $1.80 a tick... of 600 s: 10 and 30 cents.

    Down now: waiting costs 0.5 x 10 + 0.5 x 30 = 20 cents, on-demand now 30.
    """
    task = Task(1 / 6, 2 / 6, 0.0, TICK_S, on_demand=1.8)
    course = plan(task, one_way(0.5, 0.5), spot=0.6)
    one = np.ones(1)
    assert course.value(2, one, 0, 0, spare=0.0) == pytest.approx(0.20)
    assert course.value(2, one, 1, 0, spare=0.0) == pytest.approx(0.20)


def test_a_plan_knows_what_is_certain():
    """11 ticks of work are left after this one, and a delay of 1.2: 13 whole ticks of spot that never goes, or of on-demand."""
    task = Task(2.0, 3.0, 0.2, TICK_S, on_demand=3.0)
    always, never = plan(task, one_way(1.0, 0.0), spot=1.2), plan(task, one_way(0.0, 1.0), spot=1.2)
    assert always.value(18, np.ones(1), 1, 0, spare=6.0) == pytest.approx(13 * 0.2, abs=0.05)
    assert never.value(18, np.ones(1), 0, 0, spare=6.0) == pytest.approx(13 * 0.5, abs=0.1)


def runs(
    market: Market, policy: str, traces: Sequence[Trace], task: Task, starts: Sequence[int], prices: Mapping[str, float]
) -> list[Rehearsal]:
    now = [{t.zone: prices[t.zone] for t in traces if t.up[tick]} for tick in range(len(traces[0]))]
    course = plan_work(task, market, prices)
    simple = {"greedy": rules.greedy, "uniform": rules.uniform}
    policies = [ours(course, market) if policy == "ours" else (lambda tick, s, here: simple[policy](task, s, here)) for _ in starts]
    return [rehearse(task, now[start : start + task.ticks], chosen) for start, chosen in zip(starts, policies, strict=True)]


def test_it_costs_less_than_the_simple_rules_on_a_market_like_the_one_learned():
    task, starts = Task(12.0, 16.0, 0.2, TICK_S, 3.06), range(0, 2400, 120)
    market = Market.learned(HISTORY[:1], ["a"], TICK_S)
    later = [trace("a", (20, 20), 2600, 7)]
    spent = {p: sum(run.dollars for run in runs(market, p, later, task, starts, {"a": 0.97})) for p in ("ours", "greedy", "uniform")}
    assert spent["ours"] < 0.97 * min(spent["greedy"], spent["uniform"])


def test_it_is_no_worse_than_greedy_where_spot_is_nearly_always_up():
    task, starts = Task(12.0, 20.0, 0.05, TICK_S, 3.06), range(0, 2400, 240)
    traces = [trace("a", (2, 200), 2600, 8), trace("b", (2, 200), 2600, 9)]
    for market in (Market.learned([t.part(0, 1000) for t in traces], ["a", "b"], TICK_S), BARE):
        spent = {p: sum(run.dollars for run in runs(market, p, traces, task, starts, PRICES)) for p in ("ours", "greedy")}
        assert spent["ours"] <= 1.02 * spent["greedy"]


def test_no_history_still_saves_against_on_demand():
    task, starts = Task(12.0, 20.0, 0.2, TICK_S, 3.06), range(0, 2400, 240)
    found = runs(Market.learned([], ["a"], TICK_S), "ours", [trace("a", (20, 20), 2600, 7)], task, starts, {"a": 0.97})
    assert not any(run.late for run in found)
    assert sum(run.dollars for run in found) < 0.8 * len(starts) * 12.2 * 3.06


def test_a_zone_that_lasts_longer_is_preferred_when_a_launch_is_dear():
    traces = [trace("a", (20, 3), 1500, 3), trace("b", (3, 200), 1500, 4)]
    market = Market.learned(traces, ["a", "b"], TICK_S)
    watch = Watch.fresh(market)
    for tick in range(400):
        watch = watch.seen({t.zone: bool(t.up[tick]) for t in traces})
    watch = watch.seen({"a": True, "b": True})
    assert watch.life("b") > 2 * watch.life("a")
    course = plan_work(Task(12.0, 20.0, 0.5, TICK_S, 3.06), market, {"a": 0.95, "b": 1.0})
    assert decide(course, watch, course.task.start(), {"a": 0.95, "b": 1.0}).zone == "b"


def test_zones_are_followed_by_their_own_history_alone_where_they_have_one():
    market = Market.learned(HISTORY, ["b"], TICK_S)
    assert (market.lost, market.price({"b": 1.2})) == (0.0, 1.2)
    assert KNOWN.price({"b": 1.2}) == pytest.approx(1.2)
    with pytest.raises(ValueError, match="no spot price is known in a, b"):
        KNOWN.price({})
    assert KNOWN.lost > 0 and sum(KNOWN.shares) == pytest.approx(1.0)
