"""Balances: windows aligned to the epoch, reservations that hold, stages that share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlray.ledger.balance import Balance, balance, since
from mlray.ledger.entry import Cause, Charge, Entry, Reservation, Return, Usage
from mlray.units import ZERO, Money, Percent, Period, Portion, Price

MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
NOON = MIDNIGHT + timedelta(hours=12)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Limit:
    most: Portion
    stage: str | None = None
    job: str | None = None
    team: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Terms:
    amount: Money = field(default_factory=lambda: Money.parse("$10"))
    every: Period = field(default_factory=lambda: Period.parse("1d"))
    shares: tuple[tuple[str, str], ...] = (("ingest", "10%"), ("tune", "40%"))
    time_zone: str = "UTC"
    limits: tuple[Limit, ...] = ()
    rate: Price | None = None
    carry_over: Percent = field(default_factory=lambda: Percent(0.0))

    def share(self, stage: str) -> Portion:
        return Portion.parse(dict(self.shares).get(stage, "100%"))


def cause(stage: str = "tune", run: str = "r1", team: str = "") -> Cause:
    return Cause(stage, f"flights-{stage}", "flights", run, tags=(("team", team),) if team else ())


def spent(amount: str, at: datetime = NOON, stage: str = "tune", run: str = "r1", team: str = "") -> Charge:
    return Charge(f"{stage}/{run}/{at}/{amount}", at, Money.parse(amount), cause(stage, run, team), Usage("spot", "spot", 60))


def held(amount: str, at: datetime = NOON, stage: str = "tune", run: str = "r1", until: datetime | None = None) -> Reservation:
    return Reservation(f"reservation/{run}", at, Money.parse(amount), cause(stage, run), until)


def returned(run: str = "r1") -> Return:
    return Return(f"return/{run}", NOON, f"reservation/{run}", cause("tune", run))


def fold(*entries: Entry, now: datetime = NOON, **terms: Any) -> Balance:
    return balance(Terms(**terms), entries, now)


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


def test_a_share_may_be_written_in_dollars():
    some = fold(spent("$1"), shares=(("tune", "$3"),))
    assert (some.left("tune"), some.stage("tune").most) == (Money.parse("$2"), Money.parse("$3"))
    assert fold(shares=(("tune", "$30"),)).left("tune") == Money.parse("$10")


def test_a_limit_holds_only_the_work_that_all_its_fields_fit():
    limit = Limit(Portion.parse("30%"), stage="tune", job="flights-*", team="delays")
    some = fold(spent("$2", team="delays"), spent("$1", run="r2", team="maps"), shares=(), limits=(limit,))
    delays = (("team", "delays"),)
    assert some.left("tune", job="flights-tune", tags=delays) == Money.parse("$1")
    assert some.left("tune", job="weather", tags=delays) == some.left("serve", job="flights-x", tags=delays) == Money.parse("$7")
    assert some.left("tune", job="flights-tune") == Money.parse("$7")


def test_a_reservation_counts_against_its_limit_until_it_is_returned():
    limit = Limit(Portion.parse("$4"), job="flights-tune")
    assert fold(held("$3"), spent("$1"), limits=(limit,), shares=()).left("tune", job="flights-tune") == Money.parse("$1")
    assert fold(held("$3"), spent("$1"), returned(), limits=(limit,), shares=()).left("tune", job="flights-tune") == Money.parse("$3")


def test_the_tightest_bound_is_named():
    limits = (Limit(Portion.parse("$2"), job="flights-*", tags={"tier": "free"}),)
    some = fold(spent("$7", stage="serve"), limits=limits)
    assert [(t.bound, str(t.left), str(t.most)) for t in (some.tightest("tune"), some.tightest("ingest"), some.tightest("serve"))] == [
        ("budget", "$3.00", "$10.00"),
        ("ingest", "$1.00", "$1.00"),
        ("serve", "$3.00", "$10.00"),
    ]
    free = some.tightest("serve", job="flights-a", tags=(("tier", "free"),))
    assert (free.bound, str(free.left), str(free.most)) == ("limit on job flights-*, tier free", "$2.00", "$2.00")


def test_what_the_window_before_left_is_carried_over_in_part():
    yesterday = MIDNIGHT - timedelta(hours=3)
    some = fold(spent("$4", yesterday), spent("$1"), carry_over=Percent.parse("50%"))
    assert (some.carried, some.amount, some.left("serve")) == tuple(map(Money.parse, ("$3", "$13", "$12")))
    assert some.stage("tune").most == Money.parse("$5.20")
    assert fold(spent("$12", yesterday), carry_over=Percent(1.0)).carried == ZERO


def test_nothing_is_carried_out_of_a_window_in_which_nothing_was_spent():
    assert fold(spent("$1"), spent("$1", MIDNIGHT - timedelta(hours=25)), carry_over=Percent(1.0)).carried == ZERO


def test_the_burn_is_what_the_last_hour_cost_and_the_forecast_goes_on_with_it():
    some = fold(spent("$3", NOON - timedelta(hours=2)), spent("$0.25", NOON - HOUR), spent("$0.50", NOON))
    assert (some.burn, some.stage("tune").burn, some.stage("serve").burn) == (Money.parse("$0.75"), Money.parse("$0.75"), ZERO)
    assert some.forecast == Money.parse("$3.75") + Money.parse("$9")


def test_the_burn_of_a_new_window_looks_behind_its_start():
    some = fold(spent("$2", MIDNIGHT - timedelta(minutes=30)), now=MIDNIGHT + timedelta(minutes=10))
    assert (some.spent, some.burn) == (ZERO, Money.parse("$2"))


def test_the_hours_rate_begins_anew_with_each_hour():
    entries = spent("$2", NOON - timedelta(minutes=1)), spent("$1", NOON + timedelta(minutes=1))
    hours = [fold(*entries, now=NOON + timedelta(minutes=minutes), rate=Price.parse("$2.50/h")).hour for minutes in (-1, 1)]
    assert [hour and hour.left for hour in hours] == [Money.parse("$0.50"), Money.parse("$1.50")]
    assert fold().hour is None


def test_for_how_long_the_money_has_been_gone():
    served = [spent("$1", NOON - timedelta(minutes=20 * i), "serve") for i in (0, 1)]
    assert fold(spent("$7.50"), *served).tightest("serve").gone_hours is None
    assert fold(spent("$9", NOON - timedelta(hours=2)), *served, shares=()).tightest("serve").gone_hours == 0.5
    assert fold(spent("$11", NOON - timedelta(hours=2))).tightest("serve").gone_hours == float("inf")


@pytest.mark.parametrize(
    "terms, cuts",
    [
        ({}, ["22 00:00", "22 11:30"]),
        ({"rate": Price.parse("$1/h")}, ["22 00:00", "22 11:30", "22 12:00"]),
        ({"carry_over": Percent(0.5)}, ["21 00:00", "22 00:00", "22 11:30"]),
        ({"every": Period.parse("hour")}, ["22 11:30", "22 12:00"]),
        ({"every": Period.parse("day"), "time_zone": "Europe/Berlin"}, ["21 23:00", "22 11:30"]),
    ],
)
def test_what_the_ledger_is_asked_for(terms: dict[str, Any], cuts: list[str]):
    assert [f"{cut:%d %H:%M}" for cut in since(Terms(**terms), NOON + timedelta(minutes=30))] == cuts


SPENDS = st.lists(
    st.tuples(
        st.integers(-60 * 50, 0), st.integers(0, 10**7), st.sampled_from(["ingest", "tune", "serve"]), st.sampled_from(["", "delays"])
    ),
    max_size=30,
)
EVERY = st.sampled_from(["1d", "day", "week", "hour", "36h"])


@settings(max_examples=60)
@given(SPENDS, EVERY, st.booleans(), st.integers(0, 86399))
def test_charges_added_up_between_the_cuts_fold_to_the_same_balance(
    spends: list[tuple[int, int, str, str]], every: str, more: bool, s: int
):
    """What the ledger does so that a long window stays cheap: one charge for each kind of work between two cuts, dated at its newest."""
    now = MIDNIGHT + timedelta(seconds=s)
    limits = (Limit(Portion.parse("20%"), team="delays"),)
    rate, carry_over = (Price.parse("$3/h"), Percent(0.5)) if more else (None, Percent(0.0))
    terms = Terms(every=Period.parse(every), limits=limits, rate=rate, carry_over=carry_over, time_zone="Europe/Berlin")
    charges = [
        Charge(str(i), now + timedelta(minutes=minutes), Money(micros), cause(stage, "", team), Usage("n", "spot", 1))
        for i, (minutes, micros, stage, team) in enumerate(spends)
    ]
    cuts = since(terms, now)
    known = [c for c in charges if c.at >= cuts[0]]
    assert balance(terms, added_up(known, cuts), now) == balance(terms, charges, now)


def added_up(charges: list[Charge], cuts: tuple[datetime, ...]) -> list[Charge]:
    def place(charge: Charge) -> tuple[int, str, str]:
        return sum(cut <= charge.at for cut in cuts), charge.cause.stage, str(charge.cause.tags)

    groups = [list(group) for _, group in groupby(sorted(charges, key=place), place)]
    return [replace(group[-1], at=max(c.at for c in group), amount=Money(sum(c.amount.micros for c in group))) for group in groups]


@settings(max_examples=60)
@given(SPENDS, st.integers(0, 10**7))
def test_no_bound_leaves_more_than_another_and_one_of_them_leaves_exactly_that(spends: list[tuple[int, int, str, str]], reserved: int):
    limits = (Limit(Portion.parse("20%"), team="delays"), Limit(Portion.parse("$1"), stage="tune", job="flights-*"))
    charges = [
        spent(str(Money(micros)), NOON + timedelta(minutes=m), stage, f"r{i}", team) for i, (m, micros, stage, team) in enumerate(spends)
    ]
    some = fold(*charges, held(str(Money(reserved)), run="open"), limits=limits)
    for stage in ("ingest", "tune", "serve"):
        left = some.left(stage, job=f"flights-{stage}", tags=(("team", "delays"),))
        frees = [some.amount - some.spent - some.reserved, some.stage(stage).free, some.by_limit[0].free]
        frees += [some.by_limit[1].free] if stage == "tune" else []
        assert left == max(ZERO, min(frees))
