"""Purses: money set aside in one step under every policy of a run, and balances that the ledger's sums give exactly."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlray.clock import VirtualClock
from mlray.errors import RefusedError
from mlray.jobs.purse import purse, standing
from mlray.ledger.balance import balance
from mlray.ledger.entry import Cause, Charge, Usage
from mlray.ledger.store import LedgerStore
from mlray.policy.admission import Ask
from mlray.policy.match import governs_cause
from mlray.policy.spec import Policy
from mlray.units import Duration, Money, Price

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DELAYS = (("team", "delays"),)
TUNE = Cause("tune", "flights-tune", "flights", "r1", tags=DELAYS)


def policy(name: str, governs: dict[str, list[str]], **budget: object) -> Policy:
    return Policy.model_validate({"kind": "policy", "name": name, "governs": governs, "budget": {"every": "1d", **budget}})


FLIGHTS = policy("flights", {"jobs": ["flights-*"]}, amount="$10")
TEAM = policy("team", {"teams": ["delays"]}, amount="$5")


def ask(budget: str) -> Ask:
    return Ask("tune", "flights-tune", Money.parse(budget), Duration(10), Price.parse("$1/h"), tags=DELAYS)


@pytest.fixture
def ledger(tmp_path: Path) -> LedgerStore:
    return LedgerStore(f"sqlite:///{tmp_path}/mlray.db")


def spend(ledger: LedgerStore, amount: str, cause: Cause = TUNE, at: datetime = NOON) -> None:
    ledger.append(Charge(f"{cause.run}/{at}/{amount}", at, Money.parse(amount), cause, Usage("spot", "spot", 60)))


def test_what_a_run_sets_aside_counts_against_every_policy_that_governs_it(ledger: LedgerStore):
    clock = VirtualClock(NOON)
    with purse(ledger, (FLIGHTS, TEAM), ask("$4"), TUNE, clock) as held:
        assert held.limit == Money.parse("$4")
        lefts = [c.balance.left("tune") for c in standing(ledger, (FLIGHTS, TEAM), clock) if c.balance]
        assert lefts == [Money.parse("$6"), Money.parse("$1")]
    assert [c.balance and c.balance.left("tune") for c in standing(ledger, (TEAM,), clock)] == [Money.parse("$5")]


def test_the_work_of_another_policy_spends_a_teams_money_too(ledger: LedgerStore):
    spend(ledger, "$3", Cause("tune", "weather", "weather", "w", tags=DELAYS))
    with pytest.raises(RefusedError) as refused, purse(ledger, (FLIGHTS, TEAM), ask("$4"), TUNE, VirtualClock(NOON)):
        pass
    assert str(refused.value).startswith(
        "flights-tune asks for $4.00, and policy team has $2.00 of $5.00 left for tune until 2026-11-23 00:00 UTC"
    )
    assert "raise the budget of policy team" in refused.value.hint


def test_a_policy_whose_jobs_are_held_opens_no_purse(ledger: LedgerStore):
    with (
        pytest.raises(RefusedError, match="policy team admits no jobs now"),
        purse(ledger, (FLIGHTS, TEAM), ask("$1"), TUNE, VirtualClock(NOON), held={"team"}),
    ):
        pass


SPENDS = st.lists(
    st.tuples(
        st.integers(-50 * 3600, 0),
        st.integers(0, 10**7),
        st.sampled_from(["ingest", "tune", "serve"]),
        st.sampled_from(["flights", "weather"]),
        st.sampled_from([(), DELAYS]),
    ),
    max_size=15,
)


@settings(max_examples=25, deadline=None)
@given(SPENDS, st.sampled_from(["day", "week", "36h", "hour"]), st.sampled_from(["0%", "50%"]), st.integers(0, 86399))
def test_the_ledgers_sums_give_the_balance_that_all_entries_give(
    tmp_path_factory: pytest.TempPathFactory,
    spends: list[tuple[int, int, str, str, tuple[tuple[str, str], ...]]],
    every: str,
    carry_over: str,
    second: int,
):
    now = NOON + timedelta(seconds=second)
    ledger = LedgerStore(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/mlray.db")
    fields = {
        "every": every,
        "time_zone": "Europe/Berlin",
        "rate": "$3/h",
        "carry_over": carry_over,
        "limits": [{"team": "*", "most": "20%"}],
    }
    team = policy("team", {"teams": ["delays"], "deployments": ["x"]}, amount="$5", **fields)
    for i, (ago, micros, stage, name, tags) in enumerate(spends):
        cause = replace(TUNE, stage=stage, job=f"{name}-{stage}", policy=name, run=f"r{i}", tags=tags)
        ledger.append(Charge(str(i), now + timedelta(seconds=ago), Money(micros), cause, Usage("spot", "spot", 60)))
    mine = [entry for entry in ledger.entries() if governs_cause(team, entry.cause)]
    (claim,) = standing(ledger, (team,), VirtualClock(now))
    assert claim.balance == balance(team.budget, mine, now)
