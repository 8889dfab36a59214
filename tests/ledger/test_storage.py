"""Storage: each hour once, and small stores not for nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mlray.ledger.entry import Cause
from mlray.ledger.storage import GIB, storage_due
from mlray.units import ZERO, Money

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
CAUSE = Cause("data", "home", "flights")
PRICE = Money.parse("$0.023")


def test_a_month_of_a_gibibyte_costs_its_price():
    charges = storage_due("s3", GIB, PRICE, NOON, NOON + timedelta(hours=731), CAUSE)
    assert len(charges) == 730
    assert abs(sum((c.amount for c in charges), ZERO).micros - PRICE.micros) <= 1
    assert abs(sum(c.usage.amount_of for c in charges) - 1) < 1e-9
    assert (charges[0].usage.state, charges[0].cause.item) == ("storage", "storage:s3")


def test_whoever_looks_when_charges_each_hour_once():
    first = storage_due("s3", GIB, PRICE, None, NOON + timedelta(minutes=5), CAUSE)
    assert [c.at for c in first] == [NOON - timedelta(microseconds=1)]
    assert storage_due("s3", GIB, PRICE, first[-1].at, NOON + timedelta(minutes=59), CAUSE) == ()
    later = storage_due("s3", 2 * GIB, PRICE, first[-1].at, NOON + timedelta(hours=2), CAUSE)
    assert [c.at for c in later] == [NOON + timedelta(hours=1, microseconds=-1), NOON + timedelta(hours=2, microseconds=-1)]
    assert not {c.key for c in later} & {c.key for c in first}


@given(st.integers(0, 10 * GIB), st.integers(0, 10**6), st.integers(1, 600))
def test_a_constant_size_is_charged_to_the_micro_dollar(size: int, micros: int, hours: int):
    charges = storage_due("s", size, Money(micros), NOON - timedelta(hours=1), NOON + timedelta(hours=hours), CAUSE)
    exact = size * micros * hours / (GIB * 730)
    assert abs(sum((c.amount for c in charges), ZERO).micros - exact) <= 1 + 1e-6 * exact


def test_a_home_that_was_left_alone_for_a_year_is_charged_for_a_month():
    assert len(storage_due("s", GIB, PRICE, NOON - timedelta(days=365), NOON, CAUSE)) == 31 * 24
