"""The ledger on disk: one contract for SQLite and PostgreSQL, with real processes that race."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from mlray.database import connect
from mlray.errors import StoreError
from mlray.ledger.balance import balance
from mlray.ledger.entry import Asked, Cause, Charge, Entry, Reservation, Return, Usage
from mlray.ledger.meter import Metered
from mlray.ledger.store import LedgerStore
from mlray.policy.spec import Budget
from mlray.units import Money

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
CAUSE = Cause("tune", "flights-tune", "flights", "r1", "t3", "ada", (("team", "delays"), ("tier", "1")))
BUDGET = Budget.model_validate({"amount": "$1", "every": "1d"})


def spent(key: str, amount: str = "$0.10", at: datetime = NOON, cause: Cause = CAUSE) -> Charge:
    return Charge(key, at, Money.parse(amount), cause, Usage("spot-2", "spot", 12.3, 0.25))


def held(run: str, amount: str = "$0.60", at: datetime = NOON) -> Reservation:
    return Reservation(f"{run}/reservation", at, Money.parse(amount), replace(CAUSE, run=run), NOON + timedelta(hours=1))


def reserve(store: LedgerStore, run: str, amount: str = "$0.60") -> Reservation | str:
    def decide(entries: tuple[Entry, ...]) -> Reservation | str:
        left = balance(BUDGET, entries, NOON).left("tune")
        return held(run, amount) if Money.parse(amount) <= left else f"{left} left"

    return store.reserve(f"{run}/reservation", "flights", MIDNIGHT, decide)


def test_entries_come_back_as_they_were(url: str):
    entries = (spent("c"), held("r2"), replace(held("r3"), until=None), Return("x", NOON, "r2/reservation", CAUSE))
    LedgerStore(url).append(*entries)
    assert set(LedgerStore(url).entries()) == set(entries)


def test_an_event_appended_twice_counts_once(url: str):
    store = LedgerStore(url)
    store.append(spent("c"), spent("c"))
    store.append(spent("c"))
    assert store.entries() == (spent("c"),)


def test_the_same_key_for_another_event_is_refused_and_nothing_of_it_is_written(url: str):
    store = LedgerStore(url)
    store.append(spent("c"))
    with pytest.raises(StoreError, match=r"ledger key c stands for another event: micros 100000 -> 200000"):
        store.append(spent("d"), spent("c", "$0.20"))
    assert store.entries() == (spent("c"),)


def test_entries_are_found_by_policy_and_time(url: str):
    store = LedgerStore(url)
    later, other = spent("later", at=NOON + timedelta(hours=1)), spent("other", cause=replace(CAUSE, policy="weather"))
    store.append(later, spent("c"), other)
    assert store.entries("flights") == (spent("c"), later)
    assert store.entries("flights", until=NOON + timedelta(hours=1)) == (spent("c"),)
    assert store.entries(since=NOON + timedelta(microseconds=1)) == (later,)
    there = replace(spent("there"), usage=Usage("spot-2", "spot", 1.0, node="n1"))
    store.append(there)
    assert store.entries(nodes=["n1", "n2"]) == (there,)
    assert store.entries(nodes=[]) == ()
    assert store.entries(nodes=["n1", *(f"x{i}" for i in range(12_000))]) == (there,)


@pytest.mark.parametrize("verb", ["UPDATE ledger_entries SET micros = 0", "DELETE FROM ledger_entries"])
def test_the_database_refuses_to_change_what_was_written(url: str, verb: str):
    store = LedgerStore(url)
    store.append(spent("c"))
    with pytest.raises(DBAPIError, match="ledger entries are never changed"), connect(url).begin() as connection:
        connection.execute(text(verb))
    assert store.entries() == (spent("c"),)


def test_a_balance_over_standing_entries_equals_one_over_all(url: str):
    store, before = LedgerStore(url), MIDNIGHT - timedelta(hours=1)
    mine = replace(CAUSE, run="r2")
    store.append(held("r2", at=before), spent("a", "$0.20", before, mine), spent("b", "$0.10", NOON, mine), spent("c", "$0.05", before))
    store.append(held("r3"), Return("x", NOON, "r3/reservation", replace(CAUSE, run="r3")), *(spent(f"n{i}", "$0.01") for i in range(9)))
    folded = balance(BUDGET, store.standing("flights", MIDNIGHT), NOON)
    assert folded == balance(BUDGET, store.entries("flights"), NOON)
    assert (folded.spent, folded.reserved) == (Money.parse("$0.19"), Money.parse("$0.30"))
    assert len(store.standing("flights", MIDNIGHT)) == 4


def test_charged_tells_how_far_each_item_is_paid(url: str):
    store = LedgerStore(url)
    store.append(spent("a"), spent("b", at=NOON + timedelta(seconds=5)))
    assert {item: (m.until, m.seconds) for item, m in store.charged(["t3", "t4"]).items()} == {"t3": (NOON + timedelta(seconds=5), 24.6)}


def test_a_second_reservation_sees_the_first(url: str):
    store = LedgerStore(url)
    assert reserve(store, "r1") == held("r1")
    assert reserve(store, "r2") == "$0.40 left"
    assert reserve(store, "r2", "$0.40") == held("r2", "$0.40")


def test_asking_twice_reserves_once(url: str):
    store = LedgerStore(url)
    assert reserve(store, "r1") == reserve(store, "r1") == held("r1")
    assert len(store.entries()) == 1


def test_a_reservation_without_a_run_is_a_mistake(url: str):
    nameless = replace(held("r1"), cause=replace(CAUSE, run=""))
    with pytest.raises(ValueError, match="and a run"):
        LedgerStore(url).reserve("r1/reservation", "flights", MIDNIGHT, lambda entries: nameless)


RACER = """
import sys
from tests.ledger.test_store import LedgerStore, Reservation, reserve
url, name = sys.argv[1:]
store = LedgerStore(url)
print("ready", flush=True)
sys.stdin.readline()
print(sum(isinstance(reserve(store, f"{name}-{i}", "$0.03"), Reservation) for i in range(20)))
"""


def test_processes_that_race_for_the_same_dollars_win_them_once(url: str):
    racers = [_start(RACER, url, name) for name in "abcd"]
    for racer in racers:
        assert racer.stdout and racer.stdout.readline() == "ready\n"
    won = [int(racer.communicate("go\n", timeout=120)[0]) for racer in racers]
    assert sum(won) == 33
    assert sum(entry.amount.micros for entry in LedgerStore(url).entries() if isinstance(entry, Reservation)) == 990_000


def _start(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", script, *arguments], cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


OLD = "CREATE TABLE ledger_entries (key VARCHAR(255) PRIMARY KEY, kind VARCHAR(12), at_us BIGINT, micros BIGINT, policy VARCHAR(255))"


def test_a_ledger_of_an_earlier_kind_is_refused_in_a_sentence(url: str):
    with connect(url).begin() as connection:
        connection.execute(text(OLD))
    with pytest.raises(StoreError, match=r"written by an earlier mlray: its entries have no grp, item.*\n.*MLRAY_DATABASE"):
        LedgerStore(url)


def test_two_who_charge_by_the_clock_charge_each_second_once(url: str):
    store = LedgerStore(url)

    def due(known: Mapping[str, Metered]) -> tuple[Charge, ...]:
        return (replace(spent(f"from {known['t3'].seconds if known else 0}"), at=NOON),)

    assert [charge.key for charge in store.settle(["t3", "t9"], due)] == ["from 0"]
    assert [charge.key for charge in LedgerStore(url).settle(["t3"], due)] == ["from 12.3"]
    assert store.settle([], lambda known: [spent("from 0", "$9"), spent("new"), spent("new")]) == (spent("new"),)
    assert [e.amount for e in store.entries() if isinstance(e, Charge) and e.key == "from 0"] == [Money.parse("$0.10")]  # the first stands
    assert len(store.entries()) == 3


def test_one_job_under_two_policies_is_decided_at_once(url: str):
    store = LedgerStore(url)
    store.append(spent("a", "$0.70", cause=replace(CAUSE, policy="weather")), spent("b", "$0.20"))
    asked = [Asked("flights", MIDNIGHT), Asked("delays", MIDNIGHT, lambda cause: ("team", "delays") in cause.tags)]
    seen: list[tuple[Entry, ...]] = []

    def decide(entries: tuple[tuple[Entry, ...], ...]) -> Reservation:
        seen.extend(entries)
        return held("r1")

    assert store.reserve_under("r1/reservation", asked, decide) == held("r1")
    assert [sum(e.amount.micros for e in entries if isinstance(e, Charge)) for entries in seen] == [200_000, 900_000]


def test_nothing_that_is_asked_each_tick_reads_every_entry(tmp_path: Path):
    """SQLite says how it will answer: by an index, not by a scan of the entries."""
    store, asked = LedgerStore(url := f"sqlite:///{tmp_path}/ledger.db"), list[tuple[str, Any]]()

    def heard(connection: Any, cursor: Any, statement: str, given: Any, *rest: Any) -> None:
        asked.append((statement, given))

    store.append(*(spent(f"c{i}") for i in range(50)), held("r0"))
    event.listen(connect(url), "before_cursor_execute", heard)
    store.standing("flights", (MIDNIGHT, NOON))
    store.standing("flights", MIDNIGHT, lambda cause: True)
    store.charged(["t3"])
    reserve(store, "r1", "$0.01")
    store.append(Return("x", NOON, "r1/reservation", CAUSE), spent("one more"))
    store.sums(MIDNIGHT, NOON, ("team",))
    with connect(url).connect() as connection:
        plans = [
            (statement, row[3])
            for statement, given in list(asked)
            if statement.startswith("SELECT") and not isinstance(given, list)
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)
        ]
    assert len(plans) > 20
    scans = [plan for plan in plans if "SCAN ledger_" in plan[1] and "ledger_open" not in plan[1]]
    assert not scans
