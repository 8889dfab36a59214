from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlray.errors import StoreError
from mlray.ledger.entry import Cause, Charge
from mlray.progress import silent
from mlray.tune.desk import Desk
from mlray.tune.orders import NONE, Orders
from mlray.tune.search import Search
from mlray.tune.trial import Place, State, Trial
from mlray.units import ZERO, Money, Price
from tests.tune.sealed import dollars, job

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SPOT = Place("spot", "spot", 0.5, Price.parse("$3.60/h"))  # half a node: $0.0005 a second


class Ledger:
    """Counts a key once, as the real one does."""

    def __init__(self, left: Money) -> None:
        self.left, self.charges = left, dict[str, Charge]()

    def book(self, charge: Charge) -> Money:
        if charge.key not in self.charges:
            self.charges[charge.key], self.left = charge, self.left - charge.amount
        return self.left

    @property
    def total(self) -> Money:
        return sum((charge.amount for charge in self.charges.values()), ZERO)


def search(limit="$1.00", **changes) -> Search:
    return Search(job(**changes), Cause("tune", "toy-tune", "flights", run="run-1"), dollars(limit), dollars(limit))


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def begun(limit="$1.00") -> tuple[Search, Ledger]:
    return search(limit).proposed().began("t001", SPOT, NOON), Ledger(dollars(limit))


def test_two_seconds_on_half_a_node_of_3_dollars_60_an_hour_are_charged_a_tenth_of_a_cent():
    held, ledger = begun()
    held, _ = held.reported("t001", 5, None, 2.0, after(2), ledger.book)
    (charge,) = ledger.charges.values()
    assert (charge.key, charge.amount, charge.cause.item) == ("run-1/t001/0/0", dollars("$0.001"), "t001")
    assert (charge.usage.node_type, charge.usage.capacity, charge.usage.share) == ("spot", "spot", 0.5)
    assert held.left == dollars("$0.999") and held.spent == ledger.total


def test_slices_of_a_training_cost_exactly_what_the_whole_costs():
    held, ledger = begun()
    for i in range(97):
        held, _ = held.reported("t001", 1, None, 0.0137, after(i), ledger.book)
    assert held.spent == SPOT.price.over(97 * 0.0137, 0.5)


def test_a_lost_worker_is_charged_until_its_loss_is_known():
    held, ledger = begun()
    held, _ = held.reported("t001", 5, 0.7, 2.0, after(2), ledger.book)
    held = held.lost("t001", after(5), ledger.book, final=False)
    assert held.spent == dollars("$0.0025")
    assert (held.trial("t001").losses, held.trial("t001").state) == (1, State.WAITING)
    held, _ = held.began("t001", SPOT, after(9)).reported("t001", 8, 0.71, 1.0, after(10), ledger.book)
    assert held.spent == dollars("$0.003") == ledger.total
    assert [(key, charge.waste) for key, charge in ledger.charges.items()] == [
        ("run-1/t001/0/0", ""),
        ("run-1/t001/0/1", "lost"),
        ("run-1/t001/1/0", ""),
    ]


def test_what_a_trial_would_have_cost_on_demand_is_told_with_its_charge():
    held, ledger = begun()
    held = held.began("t001", replace(SPOT, on_demand=Price.parse("$3.60/h")), after(0))
    held.reported("t001", 5, 0.7, 2.0, after(2), ledger.book)
    assert [charge.list_amount for charge in ledger.charges.values()] == [dollars("$0.001")]


def test_a_worker_that_begins_twice_in_one_attempt_has_every_charge_counted():
    held, ledger = begun()
    held, _ = held.reported("t001", 5, 0.7, 2.0, after(2), ledger.book)
    held, _ = held.began("t001", SPOT, after(3)).reported("t001", 8, 0.71, 1.0, after(4), ledger.book)
    assert held.spent == dollars("$0.0015") == ledger.total
    assert list(ledger.charges) == ["run-1/t001/0/0", "run-1/t001/0/1"]


def test_a_trial_that_lost_its_worker_too_often_has_failed_and_keeps_its_best():
    held, ledger = begun()
    held, _ = held.reported("t001", 5, 0.7, 2.0, after(2), ledger.book)
    lost = held.lost("t001", after(3), ledger.book, final=True).trial("t001")
    assert (lost.state, lost.reason, lost.auc) == (State.FAILED, "lost its worker 1 times", 0.7)


def test_spending_stops_one_report_before_the_limit():
    held, ledger = begun("$0.0025")
    goes, number = True, 0
    while goes:
        number += 1
        held, decision = held.reported("t001", number, 0.5 + number / 100, 2.0, after(2 * number), ledger.book)
        goes = decision.go_on
    assert number == 2 and held.spent == dollars("$0.002") and held.overspend == ZERO


def test_a_report_dearer_than_expected_overspends_by_that_one_report_at_most():
    held, ledger = begun("$0.0025")
    held, _ = held.reported("t001", 1, 0.5, 2.0, after(2), ledger.book)
    held, decision = held.reported("t001", 2, 0.6, 6.0, after(8), ledger.book)
    assert not decision.go_on
    assert held.overspend == dollars("$0.0015")


def test_when_others_spend_the_policys_money_less_is_left_for_this_search():
    held, _ = begun()
    held, decision = held.reported("t001", 1, 0.5, 2.0, after(2), lambda charge: dollars("$0.0005"))
    assert held.left == dollars("$0.0005") and not decision.go_on


def test_what_was_stopped_between_reports_is_charged_until_it_stopped():
    held, ledger = begun()
    held = held.proposed().began("t002", SPOT, after(1)).stopped("the deadline was reached", after(4), ledger.book)
    assert held.spent == dollars("$0.0035") == ledger.total
    assert {trial.reason for trial in held.trials} == {"the deadline was reached"} and not held.running


def test_a_search_ends_after_its_trials_unless_the_last_of_them_are_cut_short():
    held, ledger = search(trials={"most": 1}).proposed(), Ledger(dollars("$1.00"))
    assert held.proposed().ended == "all 1 trials were tried"
    assert held.proposed().ending("another reason").ended == "all 1 trials were tried"
    assert held.proposed().stopped("the deadline was reached", NOON, ledger.book).ended == "the deadline was reached"


def test_the_third_proposal_is_the_same_in_two_searches_with_one_seed():
    one, two = search().proposed().proposed().proposed(), search().proposed().proposed().proposed()
    assert one.trials == two.trials
    assert search(seed=8).proposed().proposed().trials[1] != one.trials[1]


@pytest.fixture
def desk() -> Desk:
    self_time = iter(after(seconds) for seconds in range(100))
    return Desk(search(), Ledger(dollars("$1.00")).book, {"node-1": SPOT}.__getitem__, lambda: next(self_time), lambda progress: None)


def test_a_training_that_raised_has_failed_with_its_reason_and_is_not_repeated(desk):
    trial = desk.propose()
    assert desk.hear(trial.id, {"event": "began", "node": "node-1", "seconds": 0.0}) is State.RUNNING
    assert desk.hear(trial.id, {"event": "failed", "why": "eta must be positive", "seconds": 2.0}) is State.FAILED
    assert (desk.search.trials[0].state, desk.search.trials[0].reason) == (State.FAILED, "eta must be positive")
    assert desk.search.spent == dollars("$0.001")
    desk.lose(trial.id, final=True)
    assert desk.search.trials[0].losses == 0


def test_what_nobody_stopped_was_interrupted_and_is_charged(desk):
    trial = desk.propose()
    desk.hear(trial.id, {"event": "began", "node": "node-1", "seconds": 0.0})
    desk.close()
    assert desk.search.ended == desk.search.trials[0].reason == "it was interrupted"
    assert desk.search.spent == dollars("$0.0005")


def test_past_the_deadline_the_desk_says_so_and_stays_with_it(desk):
    desk.search = replace(desk.search, deadline=NOON)
    assert desk.over() and desk.search.ended == "the deadline was reached"


def test_a_ledger_that_cannot_be_written_stops_the_search_with_its_own_error():
    def broken(charge: Charge) -> Money:
        raise StoreError("the ledger cannot be read or written: disk full")

    desk = Desk(search(), broken, {"node-1": SPOT}.__getitem__, lambda: NOON, silent)
    trial = desk.propose()
    assert trial is not None
    assert desk.hear(trial.id, {"event": "began", "node": "node-1", "seconds": 0.0}) is State.RUNNING and not desk.over()
    assert desk.hear(trial.id, {"event": "report", "round": 10, "auc": 0.7, "seconds": 1.0}) is State.STOPPED
    assert desk.over() and str(desk.trouble) == desk.search.ended == "the ledger cannot be read or written: disk full"


def test_a_search_that_no_node_takes_up_gives_up_after_ten_minutes():
    now = [NOON]
    desk = Desk(search(), Ledger(dollars("$1.00")).book, {"node-1": SPOT}.__getitem__, lambda: now[0], silent)
    desk.propose()
    now[0] = after(599)
    assert not desk.over()
    now[0] = after(600)
    assert desk.over() and desk.search.ended == "no node took up a trial for 10 minutes"


class Governed:
    """A desk of a search for fifty rounds or so, whose orders and time are set by hand."""

    def __init__(self) -> None:
        self.orders, self.now, self.ledger = NONE, NOON, Ledger(dollars("$1.00"))
        held = search(space={"rounds": {"kind": "int", "low": 50, "high": 60}, "eta": {"kind": "float", "low": 0.05, "high": 0.5}})
        self.desk = Desk(held, self.ledger.book, {"node-1": SPOT}.__getitem__, lambda: self.now, silent, lambda shown: self.orders)

    def begin(self) -> Trial:
        trial = self.desk.propose()
        assert trial is not None
        self.hear(trial, "began")
        return trial

    def hear(self, trial: Trial, event: str, **said: Any) -> State:
        self.now += timedelta(seconds=1)
        return self.desk.hear(trial.id, {"event": event, "node": "node-1", "seconds": 1.0} | said)

    def state(self, trial: Trial) -> State:
        return self.desk.search.trial(trial.id).state


def test_a_trial_that_is_held_is_paused_at_its_next_beat_which_is_charged():
    held = Governed()
    trial = held.begin()
    held.orders = Orders((("t001", "no money is left"),))
    assert not held.desk.over() and held.state(trial) is State.RUNNING
    assert held.hear(trial, "beat", round=5) is State.PAUSED
    assert (held.desk.search.trials[0].reason, held.desk.search.spent) == ("no money is left", dollars("$0.0005"))
    held.now += timedelta(hours=1)
    assert not held.desk.over() and held.desk.search.spent == dollars("$0.0005") == held.ledger.total


def test_a_paused_trial_waits_for_a_node_once_nobody_holds_it_and_is_charged_on_under_new_keys():
    held = Governed()
    trial = held.begin()
    held.orders = Orders((("t001", "no money is left"),))
    held.hear(trial, "report", round=10, auc=0.7)
    assert not held.desk.may_run(trial.id)
    held.orders = NONE
    assert not held.desk.over() and held.desk.may_run(trial.id)
    held.hear(trial, "began")
    assert held.hear(trial, "report", round=20, auc=0.8) is State.RUNNING
    assert list(held.ledger.charges) == ["run-1/t001/0/0", "run-1/t001/0/1"]
    assert held.desk.search.spent == dollars("$0.001") == held.ledger.total


def test_while_a_trial_is_paused_no_other_begins_and_the_search_has_not_ended():
    held = Governed()
    first, second = held.begin(), held.begin()
    held.orders = Orders((("t001", "no money is left"),))
    held.hear(first, "beat", round=5)
    assert held.desk.propose() is None and held.desk.search.ended == "" and not held.desk.search.rests
    held.orders = Orders((("t001", "no money is left"), ("t002", "no money is left")))
    held.hear(second, "beat", round=5)
    assert held.desk.search.rests


def test_a_search_at_rest_is_not_given_up_as_unplaced_and_ends_at_its_deadline():
    held = Governed()
    trial = held.begin()
    held.orders = Orders((("t001", "no money is left"),))
    held.hear(trial, "report", round=10, auc=0.7)
    held.now += timedelta(hours=2)
    assert not held.desk.over()
    held.desk.search = replace(held.desk.search, deadline=held.now)
    assert held.desk.over() and held.desk.search.ended == "the deadline was reached"
    held.desk.close()
    assert (held.state(trial), held.desk.search.trials[0].auc) == (State.STOPPED, 0.7)


def test_a_trial_that_waits_for_a_node_is_held_before_it_gets_one_and_when_it_gets_one_all_the_same():
    held = Governed()
    trial = held.desk.propose()
    held.orders = Orders((("t001", "no money is left"),))
    assert trial is not None and not held.desk.over() and held.state(trial) is State.PAUSED
    assert held.hear(trial, "began") is State.PAUSED and held.desk.search.spent == ZERO


def test_a_search_that_is_told_to_stop_ends_with_that_reason():
    held = Governed()
    held.begin()
    held.orders = Orders(stop="policy flights stops its searches")
    assert held.desk.over() and held.desk.search.ended == "policy flights stops its searches"
