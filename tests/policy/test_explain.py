"""Sentences about money."""

from __future__ import annotations

from datetime import UTC, datetime

from mlray.ledger.balance import balance
from mlray.ledger.entry import Cause, Charge, Reservation, Usage
from mlray.policy.explain import balance_sentence
from mlray.policy.spec import Budget
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
