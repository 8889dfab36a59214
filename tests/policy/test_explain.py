"""Sentences about money."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mlray.ledger.balance import balance
from mlray.ledger.entry import Cause, Charge, Reservation, Usage
from mlray.policy.claim import Claim
from mlray.policy.explain import balance_sentence, forecast_sentence, limit_sentences, schedule_sentence, sentences
from mlray.policy.schedule import in_force
from mlray.policy.spec import Budget, Policy
from mlray.units import Money

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_a_balance_reads_as_one_sentence():
    budget = Budget.model_validate({"amount": "$10", "every": "1d", "stages": {"tune": "40%"}})
    cause = Cause("tune", "flights-tune", "flights", "r1")
    entries = (Charge("c", NOON, Money.parse("$1"), cause, Usage("spot", "spot", 60)), Reservation("r", NOON, Money.parse("$1.50"), cause))
    assert balance_sentence("flights", balance(budget, entries, NOON)) == (
        "policy flights spent $1.00 of $10.00, $0.50 held by running jobs; left until 2026-11-23 00:00 UTC: "
        "ingest $8.50 of $10.00, tune $2.50 of $4.00, serve $8.50 of $10.00"
    )


def test_limits_the_hour_and_what_was_carried_are_told():
    limits = [{"team": "delays", "most": "30%"}, {"stage": "tune", "job": "big-*", "most": "$1"}]
    budget = Budget.model_validate({"amount": "$10", "every": "1d", "limits": limits, "rate": "$2/h", "carry_over": "50%"})
    cause = Cause("tune", "flights-tune", "flights", "r1", tags=(("team", "delays"),))
    entries = [Charge(f"{ago}", NOON - timedelta(hours=ago), Money.parse("$1"), cause, Usage("spot", "spot", 60)) for ago in (0, 20)]
    found = balance(budget, entries, NOON)
    assert balance_sentence("flights", found).startswith("policy flights spent $1.00 of $14.50 ($4.50 carried over); left until")
    assert limit_sentences(found) == (
        "the limit on team delays has $3.35 of $4.35 left",
        "the limit on tune, job big-* has $1.00 of $1.00 left",
        "this hour has $1.00 of $2.00 left",
    )


def test_where_spending_goes_is_told_with_both_numbers():
    budget = Budget.model_validate({"amount": "$10", "every": "1d"})
    cause = Cause("tune", "flights-tune", "flights", "r1")
    found = balance(budget, [Charge("c", NOON, Money.parse("$1"), cause, Usage("spot", "spot", 60))], NOON)
    assert forecast_sentence("flights", found) == (
        "policy flights spends $1.00/h; if that goes on it will have spent $13.00 on 2026-11-23 00:00 UTC, $3.00 more than its $10.00"
    )
    assert forecast_sentence("flights", balance(budget, [], NOON)) == "policy flights spent nothing in the last hour"


def test_the_window_that_holds_is_told_with_its_end():
    windows = [{"name": "sundays", "days": ["sun"], "replicas": "0..0"}, {"name": "nights", "hours": "22:00-06:00", "replicas": "1..2"}]
    fields = {"governs": {}, "budget": {"amount": "$10", "every": "1d"}, "windows": windows}
    policy = Policy.model_validate({"kind": "policy", "name": "flights", **fields})
    told = [schedule_sentence(policy, in_force(policy, NOON + timedelta(hours=h))) for h in (0, 13, 24)]
    assert told == [
        "window sundays of policy flights holds until 2026-11-23 00:00 UTC: scaled to zero",
        "window nights of policy flights holds until 2026-11-23 06:00 UTC: 1 ready 99% of the time, 1..2 replicas",
        "no window of policy flights holds until 2026-11-23 22:00 UTC: 1 ready 99% of the time, 1..4 replicas",
    ]
    assert sentences(Claim(policy, balance(policy.budget, (), NOON), held=True), NOON)[1:] == (told[0], "policy flights admits no jobs now")
    assert sentences(Claim(policy, None), NOON) == ("the balance of policy flights cannot be read",)
