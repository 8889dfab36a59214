"""Whole replays against sums done by hand, and what must hold of every one of them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from mlray.cli import show
from mlray.errors import SpecError
from mlray.ledger.entry import Cause
from mlray.market.generate import region
from mlray.simulate.load import shape
from mlray.simulate.played import Replay
from mlray.simulate.replay import replay
from mlray.simulate.report import Kept, report
from mlray.simulate.scenario import Notices, Scenario, Searched, TrialPlan
from mlray.simulate.series import hourly, series
from mlray.units import ZERO, Money, Price
from tests.simulate.scenes import DEAR, SPOT_A, SPOT_B, policy, scenario, served, trace

BOTH = policy(2, "2..2", availability={"target": "50%"})
LASTING = [9] * 60


def kept(played: Replay) -> Kept:
    (found,) = report(played).serving
    return found


def integral(played: Replay) -> float:
    """Micro-dollars: what all nodes cost over the time they ran."""
    return float(hourly(played).sum()) * 1e6 * played.scenario.tick_s / 3600


def test_two_replicas_that_nobody_takes_cost_two_nodes_for_the_time():
    found = report(replay(scenario(BOTH, [trace("a", LASTING)], 60, offers=(SPOT_A,))))
    assert found.spent == Money.parse("$0.72")  # 2 x $0.36/h x 1 h
    assert (found.serving[0].available, found.serving[0].nines, found.serving[0].cold_starts) == (1.0, None, 0)


def test_a_replica_that_is_taken_and_cannot_be_bought_again_is_missing_from_then_on():
    found = report(replay(scenario(BOTH, [trace("a", [2] * 45 + [1] * 15)], 60, offers=(SPOT_A,))))
    assert found.spent == Money.parse("$0.63")  # 2 x $0.36/h x 45 min + $0.36/h x 15 min
    assert (found.serving[0].available, found.serving[0].interruptions, found.serving[0].unannounced) == (0.75, 1, 1)


def test_its_replacement_elsewhere_is_paid_from_its_launch_and_missing_until_it_is_ready():
    """Nobody buys in zone b at three times the price before there is need."""
    dear = replace(SPOT_B, price=Price.parse("$1.08/h"))
    traces = [trace("a", [2] * 30 + [1] * 30), trace("b", LASTING)]
    found = report(replay(scenario(BOTH, traces, 60, offers=(SPOT_A, dear))))
    assert found.spent == Money.parse("$1.08")  # 2 x $0.36/h x 30 min + ($0.36/h + $1.08/h) x 30 min
    (one,) = found.serving
    assert one.available == pytest.approx(58 / 60)  # a cold start of 2 minutes
    assert (one.interruptions, one.cold_starts) == (1, 1)


def test_a_notice_lets_the_replacement_start_before_the_loss():
    traces = [trace("a", [2] * 30 + [1] * 30), trace("b", LASTING)]
    dear = replace(SPOT_B, price=Price.parse("$1.08/h"))
    room = policy(2, "2..3", availability={"target": "50%"})
    found = report(replay(scenario(room, traces, 60, offers=(SPOT_A, dear), notices=Notices(120.0, 1.0))))
    assert (found.serving[0].available, found.serving[0].interruptions, found.serving[0].unannounced) == (1.0, 1, 0)


def test_prices_are_those_of_the_time():
    price = [0.36] * 30 + [0.72] * 30
    found = report(replay(scenario(BOTH, [trace("a", LASTING, price=price)], 60, offers=(SPOT_A,))))
    assert found.spent == Money.parse("$1.08")


def test_without_spot_everything_is_on_demand_and_costs_what_all_on_demand_does():
    steady = policy(2, "2..2", spot={"share": "0%"})
    found = report(replay(scenario(steady, [], 60, offers=(DEAR,))))
    assert found.spent == found.all_on_demand == Money.parse("$2.40") and found.relative == 1.0


def test_a_budget_that_pays_for_half_the_day_stops_where_the_owner_says_so():
    """$4.32 pay two nodes at $0.36 an hour for six hours; when_short: stop then gives up the floor until midnight."""
    stop = policy(2, "2..2", "$4.32", availability={"target": "50%"}, money={"when_short": {"serve": "stop"}})
    played = replay(scenario(stop, [trace("a", [9] * 1440)], 1440, offers=(SPOT_A,)))
    (window,) = played.windows
    assert window.overspent == ZERO and Money.parse("$4.26") < window.spent <= Money.parse("$4.32")
    assert [d.bound for d in played.decisions if d.kind == "SetAllowance"][-1] == "stopped"
    assert kept(played).available == pytest.approx(0.25, abs=0.005)


def test_a_floor_that_is_kept_overspends_and_says_by_how_much():
    played = replay(scenario(policy(2, "2..2", "$4.32", availability={"target": "50%"}), [trace("a", [9] * 1440)], 1440, offers=(SPOT_A,)))
    (window,) = played.windows
    assert (window.spent, window.overspent) == (Money.parse("$17.28"), Money.parse("$12.96"))
    assert kept(played).available == 1.0


def test_load_above_the_floor_scales_inside_what_is_allowed():
    """Two requests in progress for each replica: 70 a second of a tenth of a second each want four."""
    wide = policy(1, "1..6", availability={"target": "50%"})
    played = replay(scenario(wide, [trace("a", LASTING)], 60, offers=(SPOT_A,), serving=(served(wide, 70.0),)))
    assert played.tracks["flights"].moments[-1].wanted == 4
    narrow = policy(1, "1..3", availability={"target": "50%"})
    played = replay(scenario(narrow, [trace("a", LASTING)], 60, offers=(SPOT_A,), serving=(served(narrow, 70.0),)))
    assert played.tracks["flights"].moments[-1].wanted == 3


def test_windows_of_a_policy_scale_to_zero_and_promise_nothing_meanwhile():
    night = [{"name": "night", "hours": "00:00-00:30", "replicas": "0..0"}]
    played = replay(scenario(policy(2, "2..2", windows=night, availability={"target": "50%"}), [trace("a", LASTING)], 60, offers=(SPOT_A,)))
    table = played.tracks["flights"].table()
    assert set(table["promised"][:30]) == {0.0} and set(table["held"][:30]) == {0.0}
    assert report(played).spent == Money.parse("$0.36") and kept(played).available == pytest.approx(28 / 30)


def search(under=BOTH, trials: int = 2, budget: str = "$5", **more) -> Searched:
    plans = tuple(TrialPlan(f"t{i}", 1200.0, 1.0 + i) for i in range(trials))
    return Searched(Cause("tune", "flights-tune", under.name, "run-1"), under, plans, Money.parse(budget), cpus=4.0, market="spot", **more)


def test_a_search_is_admitted_pays_for_its_nodes_and_gives_back_what_is_left():
    found = replay(scenario(BOTH, [trace("a", LASTING)], 60, offers=(SPOT_A,), serving=(), searching=(search(),)))
    (run,) = found.searches
    assert (run.trials_done, run.ended, run.lost_s) == (2, "all trials are done", 0.0)
    assert run.spent == report(found).spent == Money.parse("$0.24")  # two nodes at $0.36/h for 20 minutes


def test_a_trial_that_loses_its_node_goes_on_from_its_last_checkpoint():
    """Checkpoints each 10 minutes: a loss after 15 costs 5 minutes of work, and the replacement a cold start of 2."""
    nodes = [1] * 15 + [0] + [1] * 44
    one = search(trials=1, parallel=1)
    found = replay(scenario(BOTH, [trace("a", nodes)], 60, offers=(SPOT_A,), serving=(), searching=(one,)))
    (run,) = found.searches
    assert (run.trials_done, run.interruptions, run.lost_s, run.work_s) == (1, 1, 300.0, 1500.0)
    assert run.spent == Money.parse("$0.162")  # 15 minutes, then 2 of cold start and 10 of work, at $0.36/h


def test_a_search_that_asks_for_more_than_there_is_waits_and_says_why():
    found = replay(scenario(BOTH, [trace("a", LASTING)], 60, offers=(SPOT_A,), serving=(), searching=(search(budget="$500"),)))
    assert found.searches[0].ended == "waiting"
    (refused,) = [d for d in found.decisions if d.kind == "Refuse"]
    assert "flights-tune asks for $500.00, and policy flights has $80.00" in refused.reason


def market(seed: int, days: float = 0.5) -> Scenario:
    """Three replicas or more and a search, in two zones that are taken away now and then."""
    rng = np.random.default_rng(seed)
    under = policy(3, "3..8", "$60", availability={"target": "99%"})
    load = replace(served(under), load=shape("bursty", 60.0, days, rng))
    traces = region(("a", "b"), int(days * 480) + 1, 180.0, rng)
    return scenario(under, traces, int(days * 1440), serving=(load,), searching=(search(under, 5),), notices=Notices(), seed=seed)


@cache
def played_once(seed: int) -> Replay:
    return replay(market(seed))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_charges_sum_to_the_integral_of_price_over_the_time_of_nodes(seed: int):
    played = played_once(seed)
    booked = sum(line.micros for line in played.booked)
    assert booked > 0 and abs(booked - integral(played)) <= len(played.booked) + 5  # each kind, and each trial, is rounded once
    assert sum(w.spent.micros for w in played.windows) == booked


def test_the_same_seed_gives_the_same_bytes_and_another_another_market():
    first, again, other = (played_once(1), replay(market(1)), played_once(2))
    told = [show.to_json({"report": report(p), "decisions": [d._asdict() for d in p.decisions]}) for p in (first, again, other)]
    assert told[0] == told[1] != told[2]


def test_every_decision_has_a_reason_and_they_stand_in_the_order_of_time():
    decisions = played_once(1).decisions
    assert decisions and all(d.reason for d in decisions)
    assert [d.at for d in decisions] == sorted(d.at for d in decisions)


def test_ticks_of_five_seconds_tell_the_same_story():
    minute, fine = (
        report(replay(replace(scenario(BOTH, [trace("a", [2] * 45 + [1] * 15)], 60, offers=(SPOT_A,)), tick_s=s))) for s in (60, 5)
    )
    assert fine.spent == minute.spent and fine.serving[0].available == minute.serving[0].available


def test_lines_are_drawn_in_so_many_points_and_keep_the_worst_of_each_stretch():
    played = replay(scenario(BOTH, [trace("a", [2] * 45 + [1] * 15)], 60, offers=(SPOT_A,)))
    drawn = series(played, 6)
    assert len(drawn.at) == 6 and drawn.ready.tolist() == [2, 2, 2, 2, 1, 1]
    assert drawn.spent[-1] == pytest.approx(0.63) and drawn.budget[0] == 80.0


def test_work_that_no_policy_governs_is_refused():
    stranger = policy(name="clicks").model_copy(update={"governs": BOTH.governs.model_copy(update={"deployments": ("clicks",)})})
    lone = replace(served(BOTH), watched=replace(served(BOTH).watched, cause=Cause("serve", "flights", "nobody")))
    with pytest.raises(SpecError, match="policy clicks governs no deployment flights"):
        replay(scenario(stranger, [trace("a", LASTING)], 60, serving=(lone,)))
