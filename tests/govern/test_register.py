"""Runs under government, as their drivers and their governor know them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mlray.govern.register import Register
from mlray.govern.snapshot import Running, TrialSeen, TrialState
from mlray.ledger.entry import Cause
from mlray.policy.spec import Policy
from mlray.tune.orders import NONE, Orders
from mlray.units import Money

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
POLICY = Policy.model_validate(
    {"kind": "policy", "name": "flights", "governs": {"jobs": ["*"]}, "budget": {"amount": "$20", "every": "1d"}}
)
TRIALS = (
    TrialSeen("t001", 12.5, Money.parse("$0.485")),
    TrialSeen("t002", 0.0, None, TrialState.PAUSED, NOON - timedelta(seconds=9)),
)
RUN = Running("run-1", Cause("tune", "flights-tune", "flights", "run-1", tags=(("team", "delays"),)), TRIALS, market="spot")


@pytest.fixture
def register(url: str) -> Register:
    return Register(url, "local")


def test_what_a_driver_says_is_what_the_governor_reads(register: Register, url: str):
    register.enter(RUN, POLICY, NOON, frozenset({"local/spot-1/1"}))
    assert Register(url, "local").runs(NOON) == (RUN,)
    assert register.policies(NOON) == (POLICY,)
    assert register.places(NOON) == {"run-1": frozenset({"local/spot-1/1"})}


def test_what_is_said_twice_or_anew_stands_once(register: Register):
    other = Running("run-1", RUN.cause, TRIALS[:1], Money(5), Money(7))
    for said in (RUN, RUN, other):
        register.enter(said, POLICY, NOON)
    assert register.runs(NOON) == (other,)


def test_a_driver_that_fell_silent_is_not_seen_until_it_speaks_again(register: Register):
    register.enter(RUN, POLICY, NOON)
    assert register.runs(NOON + timedelta(seconds=30)) == (RUN,)
    assert register.runs(NOON + timedelta(seconds=31)) == () == register.policies(NOON + timedelta(seconds=31))
    register.enter(RUN, POLICY, NOON + timedelta(seconds=40))
    assert register.runs(NOON + timedelta(seconds=31)) == (RUN,)


def test_orders_stand_until_they_are_lifted_and_may_be_given_twice(register: Register):
    assert register.orders("run-1") == NONE
    for _ in range(2):
        register.order("run-1", "t001", "no money is left")
        register.order("run-1", "t002", "no money is left")
    assert register.orders("run-1") == Orders((("t001", "no money is left"), ("t002", "no money is left")))
    for _ in range(2):
        register.lift("run-1", "t001")
    register.order("run-1", "", "its reservation is used up")
    assert register.orders("run-1") == Orders((("t002", "no money is left"),), "its reservation is used up")


def test_a_run_that_ended_leaves_nothing_and_other_clusters_have_their_own(register: Register, url: str):
    other = Register(url, "cloud")
    for one in (register, other):
        one.enter(RUN, POLICY, NOON)
        one.order("run-1", "t001", "no money is left")
    register.leave("run-1")
    assert (register.runs(NOON), register.orders("run-1")) == ((), NONE)
    assert other.runs(NOON) == (RUN,) and other.orders("run-1").held("t001")
    other.leave_all()
    assert (other.runs(NOON), other.orders("run-1")) == ((), NONE)
