from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mlray.tune.judge import Room, judge, overdrawn
from mlray.tune.spec import Trials
from mlray.tune.trial import Place, Proposal, Report, State, Trial
from mlray.units import Money, Price

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
RULES = Trials(patience=3)
ROOMY = Room(Money.parse("$1.00"), NOON)
SPOT = Place("spot", "spot", 0.5, Price.parse("$0.97/h"))


def trial(*aucs, id="t1", rounds=100, every=10, cost="$0.001", state=State.RUNNING) -> Trial:
    reports = tuple(Report((i + 1) * every, auc, Money.parse(cost)) for i, auc in enumerate(aucs))
    return Trial(id, Proposal((("rounds", rounds),), (0.5,)), state, reports=reports, place=SPOT, marked=NOON)


def test_a_trial_that_still_gains_goes_on():
    assert judge(trial(0.70, 0.71), (), ROOMY, RULES).go_on


def test_a_trial_at_its_last_round_is_done():
    said = judge(trial(0.70, 0.71, rounds=20), (), ROOMY, RULES)
    assert (said.go_on, said.state, said.reason) == (False, State.DONE, "all 20 rounds are done")


def test_three_reports_without_gain_end_a_trial_with_its_best_kept():
    stale = trial(0.70, 0.72, 0.719, 0.718, 0.72)
    said = judge(stale, (), ROOMY, RULES)
    assert (said.state, said.reason) == (State.DONE, "no better for 3 reports")
    assert stale.best == stale.reports[1]
    assert judge(trial(0.70, 0.72, 0.719, 0.718), (), ROOMY, RULES).go_on


def test_at_the_deadline_a_trial_stops_even_while_it_gains():
    said = judge(trial(0.70), (), replace(ROOMY, deadline=NOON), RULES)
    assert (said.state, said.reason) == (State.STOPPED, "the deadline was reached")
    assert judge(trial(0.70), (), replace(ROOMY, deadline=NOON + timedelta(seconds=1)), RULES).go_on


def test_a_trial_stops_before_its_next_report_would_cross_the_limit():
    room = replace(ROOMY, left=Money.parse("$0.0009"))
    said = judge(trial(0.70), (), room, RULES)
    assert (said.state, said.reason) == (State.STOPPED, "the next reports are expected to cost $0.001, and $0.0009 is left")


def test_what_a_running_rival_is_about_to_report_is_kept_for_it():
    room = replace(ROOMY, left=Money.parse("$0.0015"))
    assert judge(trial(0.70), (), room, RULES).go_on
    assert not judge(trial(0.70), (trial(0.70, id="t2"),), room, RULES).go_on
    assert judge(trial(0.70), (trial(0.70, id="t2", state=State.DONE),), room, RULES).go_on


def test_a_trial_below_the_median_of_four_rivals_at_the_same_round_has_no_hope():
    rivals = tuple(trial(0.5, auc, 0.9, id=f"r{auc}") for auc in (0.70, 0.72, 0.74, 0.76))
    said = judge(trial(0.60, 0.65), rivals, ROOMY, RULES)
    assert said.state is State.STOPPED
    assert said.reason == "auc 0.6500 is below 0.7300, the median of its rivals after 20 rounds"
    assert judge(trial(0.60, 0.735), rivals, ROOMY, RULES).go_on


def test_three_rivals_or_one_report_are_too_few_to_judge_by():
    rivals = tuple(trial(0.7, 0.7, id=f"r{i}") for i in range(4))
    assert judge(trial(0.6, 0.6), rivals[:3], ROOMY, RULES).go_on
    assert judge(trial(0.6), rivals, ROOMY, RULES).go_on


def test_a_beat_is_judged_by_time_and_money_alone():
    rivals = tuple(trial(0.9, 0.9, 0.9, id=f"r{i}") for i in range(4))
    stale = trial(0.7, 0.6, 0.6, 0.6)
    beat = replace(stale, reports=(*stale.reports, Report(45, None, Money.parse("$0.0001"))))
    assert judge(beat, rivals, ROOMY, RULES).go_on


def test_between_reports_all_stop_once_what_ran_up_reaches_what_is_left():
    running = (trial(0.7), trial(0.7, id="t2"))
    room = Room(Money.parse("$0.000539"), NOON + timedelta(seconds=2))  # 2 x 2 s x half of $0.97/h = $0.000538
    assert overdrawn(running, room) == ""
    said = overdrawn(running, replace(room, left=Money.parse("$0.000538")))
    assert said == "the budget is spent: $0.000538 was left, and $0.000538 had run up"
    assert overdrawn((), replace(room, left=Money(0))).startswith("the budget is spent")
    assert overdrawn((), replace(ROOMY, deadline=NOON)) == "the deadline was reached"


def test_the_next_report_of_a_paused_rival_is_not_due():
    room = replace(ROOMY, left=Money.parse("$0.0015"))
    assert not judge(trial(0.70), (trial(0.71, id="t2"),), room, RULES).go_on
    assert judge(trial(0.70), (trial(0.71, id="t2", state=State.PAUSED),), room, RULES).go_on
