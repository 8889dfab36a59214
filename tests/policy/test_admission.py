"""Admission: who may start, and the sentence that says why not."""

from __future__ import annotations

from datetime import UTC, datetime

from mlray.ledger.balance import balance
from mlray.ledger.entry import Cause, Charge, Usage
from mlray.policy.admission import Admitted, Ask, Refused, admit
from mlray.policy.spec import Policy
from mlray.units import Duration, Money, Price

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
POLICY = Policy.model_validate(
    {
        "kind": "policy",
        "name": "flights",
        "governs": {"jobs": ["flights-*"]},
        "budget": {"amount": "$10", "every": "1d", "stages": {"tune": "40%"}},
    }
)


def ask(budget: str | None = "$0.25", price: str | None = "$0.97/h", share: float = 0.5) -> Ask:
    return Ask("tune", "flights-tune", Money.parse(budget) if budget else None, Duration(10), Price.parse(price) if price else None, share)


def decide(asked: Ask, spent: str = "$0") -> Admitted | Refused:
    cause = Cause("tune", "flights-tune", "flights", "r0")
    charged = Charge("c", NOON, Money.parse(spent), cause, Usage("spot", "spot", 60))
    return admit(asked, POLICY, balance(POLICY.budget, [charged], NOON))


def test_a_job_inside_the_balance_may_spend_its_budget():
    assert decide(ask("$0.25"), spent="$3.75") == Admitted(
        Money.parse("$0.25"), "flights-tune may spend $0.25: policy flights has $0.25 of $4.00 left for tune until 2026-11-23 00:00 UTC"
    )


def test_a_job_without_a_budget_may_spend_what_its_stage_has_left():
    admitted = decide(ask(None), spent="$1")
    assert isinstance(admitted, Admitted) and admitted.amount == Money.parse("$3")


def test_a_job_that_asks_for_more_than_is_left_is_refused_with_both_numbers():
    assert decide(ask("$0.25"), spent="$3.80") == Refused(
        "flights-tune asks for $0.25, and policy flights has $0.20 of $4.00 left for tune until 2026-11-23 00:00 UTC"
    )


def test_a_tenth_of_a_cent_does_not_buy_ten_seconds():
    assert decide(ask("$0.001")) == Refused(
        "flights-tune may spend $0.001, and 10s of its cheapest node cost $0.001347: too little to begin"
    )


def test_a_job_without_a_budget_is_refused_when_less_than_the_least_is_left():
    assert decide(ask(None), spent="$3.999") == Refused(
        "flights-tune is not started: policy flights has $0.001 of $4.00 left for tune until 2026-11-23 00:00 UTC, "
        "and 10s of its cheapest node cost $0.001347"
    )


def test_an_unknown_price_or_balance_refuses():
    assert decide(ask(price=None)) == Refused("flights-tune is not started: no node of this cluster that it may use has a known price")
    assert admit(ask(), POLICY, None) == Refused("flights-tune is not started: the balance of policy flights cannot be read")
