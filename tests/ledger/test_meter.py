"""The meter: exact over any slicing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlray.ledger.entry import Cause, Usage
from mlray.ledger.meter import charge
from mlray.units import Money, Price

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
CAUSE = Cause("tune", "flights-tune", "flights")


def cost(seconds: float, share: float = 1.0, price: str = "$0.97/h", before: float = 0.0) -> Money:
    return charge("k", NOON, Usage("spot", "spot", seconds, share), Price.parse(price), CAUSE, before).amount


def test_an_hour_of_half_a_node_costs_half_its_price():
    assert cost(3600, 0.5) == Money.parse("$0.485")


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=50), st.sampled_from([1.0, 0.5, 0.25, 0.3]))
def test_slices_cost_exactly_what_the_whole_costs(slices_ms: list[int], share: float):
    done, total = 0, Money(0)
    for ms in slices_ms:
        total += cost(ms / 1000, share, "$3.06/h", before=done / 1000)
        done += ms
    assert total == cost(done / 1000, share, "$3.06/h")


def test_five_second_slices_of_a_day_lose_nothing():
    total = sum((cost(5, 0.25, before=5.0 * i).micros for i in range(17280)), 0)
    assert Money(total) == cost(86400, 0.25) == Money.parse("$5.82")


@pytest.mark.parametrize("seconds, share", [(-1, 1.0), (1, -0.1), (1, 1.1)])
def test_usage_that_cannot_be_is_refused(seconds: float, share: float):
    with pytest.raises(ValueError, match="not negative"):
        cost(seconds, share)
