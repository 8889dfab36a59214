"""Policies brought into force in a home: a bad file replaces nothing, and each step is certified."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlray.access.audit_store import AuditStore
from mlray.clock import VirtualClock
from mlray.errors import SpecError
from mlray.home import Home
from mlray.jobs.policies import Policies
from mlray.policy.store import PolicyStore

GOOD = """
kind: policy
name: flights
governs: {jobs: ["flights-*"]}
budget: {amount: $80, every: 1d}
"""


def people(home: Home, who: str) -> Policies:
    return Policies(home, VirtualClock(datetime(2026, 11, 22, tzinfo=UTC)), who)


def test_a_bad_file_never_replaces_a_good_policy(home: Home, tmp_path: Path):
    file, ada = tmp_path / "flights.yaml", people(home, "ada")
    file.write_text(GOOD)
    before = ada.apply(file, "first").in_force
    for bad in (GOOD.replace("$80", "80"), GOOD.replace("every: 1d", "evry: 1d"), GOOD + "name: twice\n", "nothing"):
        file.write_text(bad)
        with pytest.raises(SpecError):
            ada.apply(file, "worse")
    assert PolicyStore(home.database).in_force() == (before,)
    assert len(AuditStore(home.database).entries()) == 1


def test_each_step_is_in_the_audit_record_with_who_and_why(home: Home, tmp_path: Path):
    file = tmp_path / "flights.yaml"
    file.write_text(GOOD + "approvals: 1\n")
    people(home, "ada").apply(file, "a limit at last")
    applied = people(home, "bob").approve("flights", "agreed").in_force
    people(home, "ada").end("flights", "no longer needed")
    people(home, "bob").drop("flights", "it is needed")
    assert PolicyStore(home.database).in_force() == (applied,) and applied
    AuditStore(home.database).verify()
    deeds = [entry.deed for entry in AuditStore(home.database).entries()]
    assert [(deed.who, deed.did, deed.facts["step"], deed.facts["why"]) for deed in deeds] == [
        ("ada", "policy apply", "proposed", "a limit at last"),
        ("bob", "policy approve", "approved", "agreed"),
        ("bob", "policy approve", "applied", "a limit at last"),
        ("ada", "policy end", "proposed", "no longer needed"),
        ("bob", "policy drop", "dropped", "it is needed"),
    ]
    assert deeds[2].facts["after"] == applied.digest
