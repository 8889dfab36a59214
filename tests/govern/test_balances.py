"""Balances of many policies: read together, they are what each one's own reading gives."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlray.errors import StoreError
from mlray.govern.balances import balances
from mlray.ledger.balance import balance, since
from mlray.ledger.entry import Cause, Charge, Entry, Reservation, Usage
from mlray.ledger.store import LedgerStore
from mlray.policy.match import Governance, governs_cause
from mlray.policy.spec import Policy
from mlray.units import Money

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DELAYS = (("team", "delays"),)


def policy(name: str, governs: dict[str, list[str]], every: str = "1d", **budget: object) -> Policy:
    return Policy.model_validate(
        {"kind": "policy", "name": name, "governs": governs, "budget": {"amount": "$10", "every": every, **budget}}
    )


POLICIES = Governance(
    [
        policy("flights", {"jobs": ["flights-*"]}),
        policy("team", {"teams": ["delays"]}),
        policy("serving", {"deployments": ["*"]}),
        policy("weeks", {"jobs": ["*"]}, "week", rate="$3/h", carry_over="50%"),
        policy("heads", {"clusters": ["local"]}),
    ]
)


class Asked(LedgerStore):
    """A ledger that counts its readings, and can be away."""

    readings = 0
    away = False

    def standing(self, policy: str, since: object, governs: Callable[[Cause], bool] | None = None) -> tuple[Entry, ...]:
        self.readings += 1
        if self.away:
            raise StoreError("no database")
        return super().standing(policy, since, governs)  # type: ignore[arg-type]


SPENDS = st.lists(
    st.tuples(
        st.integers(-30 * 3600, 0),
        st.integers(0, 10**7),
        st.sampled_from([("tune", "flights-tune"), ("tune", "weather"), ("serve", "flights"), ("cluster", "local")]),
        st.sampled_from(["flights", "weeks", "gone"]),
        st.sampled_from([(), DELAYS]),
        st.booleans(),
    ),
    max_size=12,
)


@settings(max_examples=12, deadline=None)
@given(SPENDS)
def test_read_together_they_are_what_each_reading_gives(
    tmp_path_factory: pytest.TempPathFactory,
    spends: list[tuple[int, int, tuple[str, str], str, tuple[tuple[str, str], ...], bool]],
):
    ledger = Asked(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/mlray.db")
    for i, (ago, micros, (stage, job), name, tags, holds) in enumerate(spends):
        cause, at = Cause(stage, job, name, f"r{i}", tags=tags), NOON + timedelta(seconds=ago)
        ledger.append(Charge(f"c{i}", at, Money(micros), cause, Usage("spot", "spot", 60)))
        if holds:
            ledger.append(Reservation(f"h{i}", at, Money(2 * micros), cause))
    together = balances(POLICIES, ledger, {}, NOON)
    assert ledger.readings == 2  # four policies by the day, one by the week
    for p in POLICIES.policies:
        alone = balance(p.budget, ledger.standing(p.name, since(p.budget, NOON), partial(governs_cause, p)), NOON)
        found = together[p.name]
        assert found is not None
        assert sorted(found.held, key=str) == sorted(alone.held, key=str)
        assert (found.spent, found.reserved, found.burn, found.carried, found.hour) == (
            (alone.spent, alone.reserved, alone.burn, alone.carried, alone.hour)
        )
        assert {part.stage: part for part in found.by_stage} == {part.stage: part for part in alone.by_stage}


def test_what_is_run_up_counts_and_a_ledger_that_is_away_is_not_known(tmp_path: Path):
    ledger = Asked(f"sqlite:///{tmp_path}/mlray.db")
    charge = Charge("", NOON, Money.parse("$4"), Cause("serve", "flights", "flights"), Usage("", "", 0.0))
    found = balances(POLICIES, ledger, {"serving": [charge]}, NOON)
    assert [found[name].spent for name in ("serving", "team")] == [Money.parse("$4"), Money(0)]  # type: ignore[union-attr]
    ledger.away = True
    assert set(balances(POLICIES, ledger, {}, NOON).values()) == {None}
