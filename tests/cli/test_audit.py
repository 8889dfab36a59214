"""The record of what was done to keys and data, as people read it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from mlray.access.audit import Deed
from mlray.access.audit_store import AuditStore
from mlray.cli import main
from mlray.database import connect
from mlray.home import Home

Captured = pytest.CaptureFixture[str]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def record(home: Home) -> AuditStore:
    store = AuditStore(home.database)
    for did, to in (("rotate", "data"), ("erase", "people"), ("destroy", "people@ab")):
        store.append(Deed("ana@here", did, to, {"keys": 3}), NOON)
    return store


def test_entries_are_listed_with_who_did_what_to_what(record: AuditStore, capsys: Captured):
    assert main(["audit", "list"]) == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("ana@here", "rotate", "erase", "people@ab", "keys 3"))


def test_what_was_done_to_one_thing_is_told_alone(record: AuditStore, capsys: Captured):
    assert main(["audit", "list", "--to", "people", "--json"]) == 0
    assert [(entry["did"], entry["facts"]) for entry in json.loads(capsys.readouterr().out)["entries"]] == [("erase", {"keys": 3})]


def test_a_head_noted_earlier_must_still_be_in_the_record(record: AuditStore, capsys: Captured):
    noted = str(record.entries()[1].head)
    assert main(["audit", "verify", "--head", noted, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"entries": 3, "head": str(record.head()), "whole": True}
    assert main(["audit", "verify", "--head", f"2:{'0' * 64}"]) == 1
    assert "the record up to it was rewritten" in capsys.readouterr().err
    assert main(["audit", "verify", "--head", "2"]) == 2


def test_a_record_that_was_changed_is_not_listed(record: AuditStore, home: Home, capsys: Captured):
    with connect(home.database).begin() as connection:
        connection.execute(text("DROP TRIGGER audit_entries_no_update"))
        connection.execute(text("UPDATE audit_entries SET body = replace(body, 'people', 'nobody') WHERE number = 2"))
    assert main(["audit", "list"]) == 1
    assert "audit entry 2 was changed after it was written" in capsys.readouterr().err
