"""Balances: windows aligned to the epoch, reservations that hold, stages that share."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mlray.ledger.balance import Balance, Window, balance, window
from mlray.ledger.entry import Cause, Charge, Entry, Reservation, Return, Usage
from mlray.units import ZERO, Duration, Money, Percent, Portion

MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
NOON = MIDNIGHT + timedelta(hours=12)
DAY = Duration(86400)


@dataclass(frozen=True)
class Terms:
    amount: Money = field(default_factory=lambda: Money.parse("$10"))
    every: Duration = DAY
    shares: tuple[tuple[str, float], ...] = (("ingest", 0.1), ("tune", 0.4))

    def share(self, stage: str) -> Portion:
        return Portion(Percent(dict(self.shares).get(stage, 1.0)))


def cause(stage: str = "tune", run: str = "r1") -> Cause:
    return Cause(stage, f"flights-{stage}", "flights", run)


def spent(amount: str, at: datetime = NOON, stage: str = "tune", run: str = "r1") -> Charge:
    return Charge(f"{stage}/{run}/{at}/{amount}", at, Money.parse(amount), cause(stage, run), Usage("spot", "spot", 60))


def held(amount: str, at: datetime = NOON, stage: str = "tune", run: str = "r1", until: datetime | None = None) -> Reservation:
    return Reservation(f"reservation/{run}", at, Money.parse(amount), cause(stage, run), until)


def returned(run: str = "r1") -> Return:
    return Return(f"return/{run}", NOON, f"reservation/{run}", cause("tune", run))


def fold(*entries: Entry, now: datetime = NOON) -> Balance:
    return balance(Terms(), entries, now)


def test_a_day_begins_at_midnight_utc():
    assert window(DAY, NOON) == Window(MIDNIGHT, MIDNIGHT + timedelta(days=1))
    assert window(DAY, MIDNIGHT).start == MIDNIGHT
    assert window(Duration(3600), NOON + timedelta(minutes=59, seconds=59)).start == NOON


@given(st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)), st.integers(1, 10**7))
def test_now_is_always_inside_its_window(now: datetime, seconds: int):
    found = window(Duration(seconds), now)
    assert found.start <= now < found.end
    assert (found.start.timestamp() % seconds, (found.end - found.start).total_seconds()) == (0, seconds)


def test_a_new_window_begins_with_the_whole_amount():
    yesterday = spent("$9", MIDNIGHT - timedelta(seconds=1))
    assert fold(yesterday).left("serve") == Money.parse("$10")
    assert fold(yesterday, now=MIDNIGHT - timedelta(seconds=1)).left("serve") == Money.parse("$1")


def test_a_stage_may_spend_its_share_and_never_more_than_the_rest():
    some = fold(spent("$1"))
    assert (some.left("tune"), some.left("ingest"), some.left("serve")) == tuple(map(Money.parse, ("$3", "$1", "$9")))
    most = fold(spent("$9.50", stage="serve"))
    assert (most.left("tune"), most.left("ingest")) == (Money.parse("$0.50"), Money.parse("$0.50"))


def test_a_reservation_holds_what_its_run_has_not_spent():
    one = fold(held("$3"), spent("$1"))
    assert (one.spent, one.reserved, one.left("tune")) == tuple(map(Money.parse, ("$1", "$2", "$1")))


def test_the_rest_of_a_reservation_is_its_own_runs_to_spend():
    assert fold(held("$3"), spent("$1")).left("tune", run="r1") == Money.parse("$3")
    assert fold(held("$3"), spent("$9", stage="serve", run="s")).left("tune", run="r1") == Money.parse("$3")


def test_a_run_above_its_reservation_holds_nothing():
    over = fold(held("$1"), spent("$1.50"))
    assert (over.reserved, over.left("tune")) == (ZERO, Money.parse("$2.50"))


def test_a_return_frees_what_was_not_spent():
    assert fold(held("$3"), spent("$1"), returned()).left("tune") == Money.parse("$3")


def test_an_open_reservation_still_holds_after_midnight_less_what_it_spent_before():
    before = MIDNIGHT - timedelta(hours=1)
    night = fold(held("$3", before), spent("$1", before), spent("$0.50", MIDNIGHT))
    assert (night.spent, night.reserved) == (Money.parse("$0.50"), Money.parse("$1.50"))


def test_a_reservation_lapses_at_its_until():
    lease = held("$3", until=NOON)
    assert fold(lease, now=NOON - timedelta(seconds=1)).reserved == Money.parse("$3")
    assert fold(lease, now=NOON).reserved == ZERO


def test_an_overspent_budget_leaves_nothing_and_says_by_how_much():
    over = fold(spent("$12", stage="serve"))
    assert (over.left("serve"), over.left("tune"), over.spent - over.amount) == (ZERO, ZERO, Money.parse("$2"))


@given(st.lists(st.tuples(st.sampled_from(["ingest", "tune", "serve"]), st.integers(0, 10**7)), max_size=20))
def test_stages_sum_to_the_whole(amounts: list[tuple[str, int]]):
    charges = [Charge(str(i), NOON, Money(micros), cause(stage), Usage("n", "spot", 1)) for i, (stage, micros) in enumerate(amounts)]
    total = fold(*charges)
    assert sum((part.spent for part in total.by_stage), ZERO) == total.spent == Money(sum(m for _, m in amounts))
