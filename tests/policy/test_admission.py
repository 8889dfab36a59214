"""Admission: who may start, and the sentence that says why not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mlray.ledger.balance import balance
from mlray.ledger.entry import Cause, Charge, Usage
from mlray.policy.admission import Admitted, Ask, Refused, admit, admit_under
from mlray.policy.claim import Claim
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
        Money.parse("$0.25"),
        "flights-tune may spend $0.25: policy flights has $0.25 of $4.00 left for tune until 2026-11-23 00:00 UTC",
        "flights",
    )


def test_a_job_without_a_budget_may_spend_what_its_stage_has_left():
    admitted = decide(ask(None), spent="$1")
    assert isinstance(admitted, Admitted) and admitted.amount == Money.parse("$3")


def test_a_job_that_asks_for_more_than_is_left_is_refused_with_both_numbers():
    assert decide(ask("$0.25"), spent="$3.80") == Refused(
        "flights-tune asks for $0.25, and policy flights has $0.20 of $4.00 left for tune until 2026-11-23 00:00 UTC",
        "flights",
    )


def test_a_tenth_of_a_cent_does_not_buy_ten_seconds():
    assert decide(ask("$0.001")) == Refused(
        "flights-tune may spend $0.001, and 10s of its cheapest node cost $0.001347: too little to begin"
    )


def test_a_job_without_a_budget_is_refused_when_less_than_the_least_is_left():
    assert decide(ask(None), spent="$3.999") == Refused(
        "flights-tune is not started: policy flights has $0.001 of $4.00 left for tune until 2026-11-23 00:00 UTC, "
        "and 10s of its cheapest node cost $0.001347",
        "flights",
    )


def test_an_unknown_price_or_balance_refuses():
    assert decide(ask(price=None)) == Refused("flights-tune is not started: no node of this cluster that it may use has a known price")
    assert admit(ask(), POLICY, None) == Refused("flights-tune is not started: the balance of policy flights cannot be read", "flights")


def policy(name: str, budget: dict[str, object], **fields: object) -> Policy:
    return Policy.model_validate(
        {"kind": "policy", "name": name, "governs": {}, "budget": {"amount": "$10", "every": "1d", **budget}, **fields}
    )


def under(asked: Ask, *policies: Policy, spent: str = "$0", minutes: float = 0, held: str = "") -> Admitted | Refused:
    """What all of them say after a day on which another run of flights-tune spent some, so many minutes ago."""
    cause = Cause("tune", "flights-tune", "flights", "r0", tags=asked.tags)
    charged = Charge("c", NOON - timedelta(minutes=minutes), Money.parse(spent), cause, Usage("spot", "spot", 60))
    return admit_under(asked, [Claim(p, balance(p.budget, [charged], NOON), held=p.name == held) for p in policies])


def refused(answer: Admitted | Refused) -> tuple[str, str]:
    assert isinstance(answer, Refused)
    return answer.reason, answer.policy


def test_of_several_policies_the_one_that_leaves_the_least_decides():
    team = policy("team", {"amount": "$5"})
    assert under(ask("$3"), POLICY, team, spent="$2.50") == Refused(
        "flights-tune asks for $3.00, and policy flights has $1.50 of $4.00 left for tune until 2026-11-23 00:00 UTC", "flights"
    )
    assert under(ask(None), POLICY, team, spent="$4.75") == Refused(
        "flights-tune is not started: policy flights has $0.00 of $4.00 left for tune until 2026-11-23 00:00 UTC, "
        "and 10s of its cheapest node cost $0.001347",
        "flights",
    )
    admitted = under(ask(None), POLICY, policy("team", {"amount": "$2"}), spent="$0.50")
    assert isinstance(admitted, Admitted) and (admitted.amount, admitted.policy) == (Money.parse("$1.50"), "team")


def test_a_limit_on_its_work_is_named():
    limited = policy("flights", {"limits": [{"team": "delays", "job": "flights-*", "most": "30%"}]})
    reason, _ = refused(under(replace(ask("$2"), tags=(("team", "delays"),)), limited, spent="$1.25"))
    assert reason == (
        "flights-tune asks for $2.00, and policy flights has $1.75 of $3.00 left under the limit on job flights-*, team delays "
        "until 2026-11-23 00:00 UTC"
    )
    assert isinstance(under(ask("$2"), limited, spent="$1.25"), Admitted)
    other_name = replace(ask("$2"), tags=(("team", "delays"),), job="deploy-it", booked="flights-tune")
    assert isinstance(under(other_name, limited, spent="$1.25"), Refused)


def test_work_that_would_pass_the_hourly_rate_waits():
    rated = policy("flights", {"rate": "$2/h"})
    busy = replace(ask("$0.25"), hourly=Money.parse("$1.50"))
    assert refused(under(busy, rated, spent="$0.75", minutes=20)) == (
        "flights-tune is not started: it costs $1.50/h, and policy flights spent $0.75 in the last hour of at most $2.00/h",
        "flights",
    )
    assert isinstance(under(busy, rated, spent="$0.75", minutes=61), Admitted)
    assert isinstance(under(ask("$0.25"), rated, spent="$0.75"), Admitted)  # half a node: $0.485/h


def test_an_hour_that_is_spent_admits_nothing():
    assert refused(under(replace(ask("$0.25"), hourly=Money(0)), policy("flights", {"rate": "$2/h"}), spent="$2")) == (
        "flights-tune is not started: policy flights has spent the $2.00 of this hour",
        "flights",
    )


def test_data_are_read_only_where_and_by_what_the_policy_allows():
    eu = policy("eu", {}, data={"regions": ["eu-*", "local"], "highest_class": "internal"})
    assert refused(under(replace(ask(), zones=("eu-central-1a", "us-east-1a", "")), eu))[0] == (
        "flights-tune is not started: it may run in a zone without a name, us-east-1a, "
        "and policy eu lets its data be read only in eu-*, local"
    )
    assert refused(under(ask(), eu))[0].startswith("flights-tune is not started: where it would run is not known, and policy eu lets")
    inside = replace(ask(), zones=("eu-central-1a",), classes=("public", "personal"))
    assert refused(under(inside, eu)) == (
        "flights-tune is not started: it reads personal columns, and policy eu allows none above internal",
        "eu",
    )
    assert isinstance(under(replace(inside, classes=("public", "internal")), eu), Admitted)


def test_a_policy_whose_jobs_are_held_admits_none():
    assert refused(under(ask(), POLICY, policy("team", {}), held="team")) == (
        "flights-tune is not started: policy team admits no jobs now, for its money is short",
        "team",
    )


def test_without_a_policy_nothing_starts():
    assert admit_under(ask(), ()) == Refused("flights-tune is not started: no policy governs it")
