"""What is kept is charged by the hour, once, whoever looks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlray.govern.storage import StorageMeter
from mlray.home import Home
from mlray.ledger.store import LedgerStore
from mlray.units import Money, StoragePrice

NOON = datetime(2026, 11, 22, 12, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
PRICE = StoragePrice.parse("$0.023/GiB-month")


@pytest.fixture
def ledger(tmp_path: Path) -> LedgerStore:
    return LedgerStore(Home.at(tmp_path).prepare().database)


def meter(ledger: LedgerStore, gib: int = 1000, price: StoragePrice | None = PRICE) -> StorageMeter:
    return StorageMeter("file:///store", lambda: gib * 2**30, lambda: price, ledger)


def spent(ledger: LedgerStore) -> Money:
    return sum((row.amount for row in ledger.sums(by=("stage",)).rows), Money(0))


def test_ten_tib_for_a_tenth_of_a_month_of_730_hours_cost_23_dollars(ledger: LedgerStore):
    kept = meter(ledger, gib=10_000)
    for hour in range(73):
        kept.look(NOON + hour * HOUR)
    assert abs(spent(ledger).micros - 23_000_000) <= 1


def test_an_hour_is_charged_once_whoever_looks_and_however_often(ledger: LedgerStore):
    first, second = meter(ledger), meter(ledger)
    booked = [len(who.look(at)) for at in (NOON, NOON + HOUR / 2, NOON + HOUR) for who in (first, first, second)]
    assert booked == [1, 0, 0, 0, 0, 0, 1, 0, 0]


def test_hours_without_a_governor_are_charged_when_one_is_back(ledger: LedgerStore):
    meter(ledger).look(NOON)
    assert len(meter(ledger).look(NOON + 5 * HOUR)) == 5


def test_without_a_price_nothing_is_charged_and_nothing_weighed(ledger: LedgerStore):
    def weigh() -> int:
        raise AssertionError("nobody asked")

    assert StorageMeter("file:///store", weigh, lambda: None, ledger).look(NOON) == ()


def test_a_store_that_does_not_answer_is_asked_again(ledger: LedgerStore):
    gone = [True]

    def weigh() -> int:
        if gone and gone.pop():
            raise OSError("gone")
        return 2**30

    kept = StorageMeter("file:///store", weigh, lambda: PRICE, ledger)
    with pytest.raises(OSError, match="gone"):
        kept.look(NOON)
    assert len(kept.look(NOON)) == 1
