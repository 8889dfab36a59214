"""The audit record on disk: one contract for SQLite and PostgreSQL, with processes that race and are killed."""

from __future__ import annotations

import signal
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from mlray.access.audit import START, Deed
from mlray.access.audit_store import AuditStore
from mlray.database import connect
from mlray.errors import StoreError, TamperError
from tests.ledger.conftest import url  # noqa: F401  one fixture for every store
from tests.ledger.test_store import _start

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def deed(name: str) -> Deed:
    return Deed("ada", "rotate", name, {"kept": 3, "why": "due", "names": ["ä", None, True]})


def test_what_was_done_comes_back_in_order(url: str):  # noqa: F811
    store = AuditStore(url)
    assert store.head() == START == store.verify()
    for name in ("a", "b", "c"):
        store.append(deed(name), NOON)
    again = AuditStore(url)
    assert [entry.deed for entry in again.entries()] == [deed("a"), deed("b"), deed("c")]
    assert again.verify() == again.head() == again.entries()[-1].head
    assert again.verify(again.entries()[0].head).number == 3


def test_what_failed_is_not_written_down(url: str):  # noqa: F811
    store = AuditStore(url)
    with pytest.raises(ZeroDivisionError):
        store.after(lambda: deed(str(1 / 0)), NOON)
    store.append(deed("a"), NOON)
    assert [entry.deed.to for entry in store.entries()] == ["a"]


@pytest.mark.parametrize("verb", ["UPDATE audit_entries SET body = ''", "DELETE FROM audit_entries"])
def test_the_database_refuses_to_change_what_was_written(url: str, verb: str):  # noqa: F811
    store = AuditStore(url)
    store.append(deed("a"), NOON)
    with pytest.raises(DBAPIError, match="audit entries are never changed"), connect(url).begin() as connection:
        connection.execute(text(verb))
    assert store.verify().number == 1


def test_a_change_behind_the_back_of_the_database_is_found(tmp_path: Path):
    store = AuditStore(f"sqlite:///{tmp_path}/mlray.db")
    for name in "abc":
        store.append(deed(name), NOON)
    with sqlite3.connect(tmp_path / "mlray.db") as forger:
        forger.execute("DROP TRIGGER audit_entries_no_update")
        forger.execute("UPDATE audit_entries SET body = replace(body, 'ada', 'eve') WHERE number = 2")
    with pytest.raises(TamperError, match="audit entry 2 was changed"):
        store.verify()


def test_a_database_that_cannot_be_reached_is_told_in_a_sentence(tmp_path: Path):
    (tmp_path / "mlray.db").write_bytes(b"not a database, and long enough to be looked at" * 100)
    with pytest.raises(StoreError, match="the audit record cannot be read or written"):
        AuditStore(f"sqlite:///{tmp_path}/mlray.db")


RACER = """
import sys
from tests.access.test_audit_store import AuditStore, NOON, deed
store = AuditStore(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for i in range(10**9 if sys.argv[3] == "on" else 15):
    print(store.append(deed(f"{sys.argv[2]}-{i}"), NOON).number, flush=True)
"""


def test_processes_that_append_at_once_make_one_chain(url: str):  # noqa: F811
    racers = [_start(RACER, url, name, "") for name in "abcd"]
    for racer in racers:
        assert racer.stdout and racer.stdout.readline() == "ready\n"
    numbers = [int(line) for racer in racers for line in racer.communicate("go\n", timeout=120)[0].split()]
    assert sorted(numbers) == list(range(1, 61))
    assert AuditStore(url).verify().number == 60


def test_a_writer_killed_at_any_moment_loses_nothing_it_acknowledged_and_breaks_no_chain(url: str):  # noqa: F811
    acknowledged: list[int] = []
    for round in range(4):
        writer = _start(RACER, url, str(round), "on")
        assert writer.stdout and writer.stdin and writer.stdout.readline() == "ready\n"
        writer.stdin.write("go\n")
        writer.stdin.flush()
        acknowledged += [int(writer.stdout.readline()) for _ in range(2 + 5 * round)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.communicate(timeout=60)[0].split()]
    head = AuditStore(url).verify()
    assert len(acknowledged) == len(set(acknowledged)) and max(acknowledged) <= head.number
