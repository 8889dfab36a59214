"""Policies in force: one contract for SQLite and PostgreSQL; a change is whole or absent, whoever is killed or races."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from mlray.database import connect
from mlray.errors import SpecError
from mlray.policy.change import Event, Standing, Step, ask
from mlray.policy.spec import Policy
from mlray.policy.store import PolicyStore
from tests.ledger.conftest import url  # noqa: F401  one fixture for every store
from tests.ledger.test_store import _start
from tests.policy.policies import policy

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def wanted(found: Policy, who: str = "ada", at: datetime = NOON):
    return lambda now: ask(now, found, who, "because", at)


def test_what_was_applied_is_in_force_in_every_process(url: str):  # noqa: F811
    store = PolicyStore(url)
    assert store.in_force() == ()
    later = NOON + timedelta(microseconds=1)
    store.change("flights", wanted(policy()))
    store.change("clicks", wanted(policy("clicks")))
    store.change("flights", wanted(policy(amount="$60"), "bob", later))
    again = PolicyStore(url)
    assert again.in_force() == (policy("clicks"), policy(amount="$60"))
    history = again.history("flights")
    assert [(e.step, e.who, e.why, e.at) for e in history] == [
        (Step.APPLIED, "ada", "because", NOON),
        (Step.APPLIED, "bob", "because", later),
    ]
    assert history[1].before == history[0].after == policy().digest


def test_what_is_refused_changes_nothing(url: str):  # noqa: F811
    store = PolicyStore(url)
    store.change("flights", wanted(policy()))
    with pytest.raises(SpecError, match="needs a reason"):
        store.change("flights", lambda now: ask(now, policy(amount="$1"), "ada", "", NOON))
    assert store.in_force() == (policy(),) and len(store.history("flights")) == 1


@pytest.mark.parametrize("verb", ["UPDATE policy_events SET who = 'eve'", "DELETE FROM policy_events"])
def test_the_database_refuses_to_change_what_was_written(url: str, verb: str):  # noqa: F811
    store = PolicyStore(url)
    store.change("flights", wanted(policy()))
    with pytest.raises(DBAPIError, match="policy events are never changed"), connect(url).begin() as connection:
        connection.execute(text(verb))
    assert store.history("flights")[0].who == "ada"


def test_the_decision_sees_what_stands_when_it_is_written(url: str):  # noqa: F811
    store, seen = PolicyStore(url), list[Standing]()

    def decide(now: Standing) -> tuple[Event, ...]:
        seen.append(now)
        return ask(now, policy(amount=f"${len(seen)}"), "ada", "why", NOON)

    store.change("flights", decide)
    store.change("flights", decide)
    assert [now.digest for now in seen] == ["", policy(amount="$1").digest]


WRITER = """
import sys
from datetime import UTC, datetime
from mlray.policy.change import ask
from mlray.policy.store import PolicyStore
from tests.policy.policies import policy
store = PolicyStore(sys.argv[1])
for cents in range(1, 100_000):
    store.change("flights", lambda now: ask(now, policy(amount=f"${cents / 100:.2f}"), "ada", "why", datetime.now(UTC)))
    print(cents, flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_the_last_policy_it_was_told_of_or_the_next(tmp_path: Path):
    store = PolicyStore(f"sqlite:///{tmp_path / 'policies.db'}")
    for told in (1, 3, 7):
        writer = _start(WRITER, f"sqlite:///{tmp_path / 'policies.db'}")
        assert writer.stdout
        for _ in range(told):
            last = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
        last = max([last, *map(int, rest.split())])
        (now,) = store.in_force()
        assert now.budget.amount.micros // 10_000 in (last, last + 1)
        assert [e.before for e in store.history("flights")[1:]] == [e.after for e in store.history("flights")[:-1]]
