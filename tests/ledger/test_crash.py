"""A writer killed at random points, on SQLite and PostgreSQL: nothing lost, nothing twice, and the sums right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mlray.ledger.entry import Charge, Reservation, Return
from mlray.ledger.nodes import node_charges
from mlray.ledger.store import LedgerStore
from tests.ledger.crashing import KINDS, LIFE, NOON, charges, now_of, reservation
from tests.ledger.test_sums import disagreements

ROOT = Path(__file__).parents[2]


def killed(url: str, rounds: int, how: str = "any", keys: str = "keys", seed: int = 11) -> int:
    """The number of steps that are known to be done after so many deaths."""
    command = [sys.executable, "-m", "tests.ledger.crashing", url, str(rounds), str(seed), how, keys]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    return int(ended.stdout)


def booked(step: int) -> set[str]:
    """The keys of the charges of work that a step books."""
    return {charge.key for charge in charges(step)} if step % KINDS in (1, 2) else set()


def check(url: str, done: int) -> None:
    """Everything that is known to be done is there, of the step after it all or nothing, and nothing else."""
    store = LedgerStore(url)
    entries = store.entries()
    assert disagreements(url) == []
    work = {e.key for e in entries if isinstance(e, Charge) and e.cause.stage == "tune"}
    expected = set().union(*map(booked, range(done)))
    assert work in (expected, expected | booked(done))
    returns = {e.reservation for e in entries if isinstance(e, Return)}
    held = {e.key for e in entries if isinstance(e, Reservation)}
    assert {e.key for e in store.standing("flights", NOON) if isinstance(e, Reservation)} == held - returns
    assert held >= {reservation(step).key for step in range(done)}
    own = {e for e in entries if isinstance(e, Charge) and e.cause.item == LIFE.item}
    last = max((step for step in range(done) if step % KINDS == KINDS - 1), default=0)
    assert own in tuple(set(node_charges(LIFE, None, now_of(step), 15.0)) for step in (last, done))


def test_a_hundred_deaths_lose_nothing_and_double_nothing(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    done = killed(url, 100)
    assert done > 50
    check(url, done)


def test_a_few_deaths_on_every_database(url: str):
    check(url, killed(url, 15, seed=5))


def test_events_without_keys_are_doubled_by_the_same_deaths(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    done = killed(url, 8, "reply", "no keys")
    work = [e for e in LedgerStore(url).entries() if isinstance(e, Charge) and e.cause.stage == "tune"]
    assert len(work) > sum(len(booked(step)) for step in range(done + 1))
