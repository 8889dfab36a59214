"""Alerts: thresholds that are crossed, and amounts that will be passed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mlray.ledger.balance import balance
from mlray.ledger.entry import Cause, Charge, Reservation, Usage
from mlray.policy.alerts import Alert, crossed
from mlray.policy.spec import Policy
from mlray.units import Money

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TUNE = Cause("tune", "flights-tune", "flights", "r1")


def told(spent: str, hours_ago: float = 2, reserved: str = "$0", **alerts: object) -> tuple[Alert, ...]:
    budget = {"amount": "$10", "every": "1d", **({"alerts": alerts} if alerts else {})}
    policy = Policy.model_validate({"kind": "policy", "name": "flights", "governs": {}, "budget": budget})
    charge = Charge("c", NOON - timedelta(hours=hours_ago), Money.parse(spent), TUNE, Usage("spot", "spot", 60))
    return crossed(policy, balance(policy.budget, [charge, Reservation("r", NOON, Money.parse(reserved), TUNE)], NOON))


def bounds(*given: object, **alerts: object) -> list[str]:
    return [alert.bound for alert in told(*given, **alerts)]  # type: ignore[arg-type]


@pytest.mark.parametrize("spent, crossed_", [("$7.999999", []), ("$8", ["80%"]), ("$10", ["80%", "100%"]), ("$12", ["80%", "100%"])])
def test_a_threshold_is_crossed_at_exactly_its_share(spent: str, crossed_: list[str]):
    assert bounds(spent) == crossed_


def test_thresholds_are_told_lowest_first_and_hold_the_numbers():
    assert bounds("$6", at=["50%", "25%", "75%"]) == ["25%", "50%"]
    assert told("$6", at=["50%"])[0].reason == "policy flights has spent $6.00, 50% or more of its $10.00 until 2026-11-23 00:00 UTC"
    assert bounds("$0", at=["0%"]) == []


def test_what_is_reserved_is_not_spent():
    assert bounds("$1", reserved="$9") == []


def test_an_amount_that_will_be_passed_is_foretold_once_it_is_likely_and_not_after():
    assert told("$1", 0.5) == (
        Alert(
            "forecast",
            "policy flights spends $1.00/h; if that goes on it will have spent $13.00 on 2026-11-23 00:00 UTC, $3.00 more than its $10.00",
        ),
    )
    assert bounds("$0.75", 0.5) == bounds("$1", 0.5, forecast=False) == []
    assert bounds("$11", 0.5) == ["80%", "100%"]
