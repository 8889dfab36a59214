from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mlray.govern.snapshot import TrialState
from mlray.jobs.shown import places, shown
from mlray.ledger.entry import Cause, Charge
from mlray.tune.orders import Orders
from mlray.tune.search import Search
from mlray.tune.trial import Place
from mlray.units import Money, Price
from tests.tune.sealed import dollars, job

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SPOT = Place("spot", "spot", 0.5, Price.parse("$3.60/h"), "local/spot-1/1")
USUAL = Money.parse("$0.485")


def book(charge: Charge) -> Money:
    return dollars("$1.00")


def search() -> Search:
    """Two trials: one runs, one waits for a node."""
    space = {"rounds": {"kind": "int", "low": 50, "high": 60}, "eta": {"kind": "float", "low": 0.05, "high": 0.5}}
    held = Search(job(space=space), Cause("tune", "toy-tune", "toys", "run-1"), dollars("$1.00"), dollars("$1.00"))
    return held.proposed().began("t001", SPOT, NOON).proposed()


def test_a_running_trial_costs_its_part_of_its_node_and_a_waiting_one_what_is_usual():
    seen = shown(search(), USUAL, NOON + timedelta(seconds=2))
    assert [(t.id, t.hourly, t.state) for t in seen.trials] == [
        ("t001", Money.parse("$1.80"), TrialState.RUNNING),
        ("t002", USUAL, TrialState.RUNNING),
    ]
    assert (seen.run, seen.market, seen.accrued, seen.hourly) == ("run-1", "spot", Money.parse("$0.001"), Money(0))
    assert places(search()) == frozenset({"local/spot-1/1"})


def test_a_paused_trial_says_since_when_and_holds_no_node():
    held, _ = search().reported("t001", 10, 0.7, 2.0, NOON + timedelta(seconds=2), book)
    held = held.paused("t001", "no money is left", NOON + timedelta(seconds=2))
    first, second = shown(held, USUAL, NOON + timedelta(seconds=9)).trials
    assert (first.state, first.since, first.hourly) == (TrialState.PAUSED, NOON + timedelta(seconds=2), USUAL)
    assert first.value_per_dollar > 0 == second.value_per_dollar and places(held) == frozenset()


def test_trials_that_are_over_are_not_shown():
    held = search().obeyed(Orders((("t002", "no money is left"),)), NOON).stopped("the deadline was reached", NOON, book)
    assert shown(held, USUAL, NOON).trials == ()
