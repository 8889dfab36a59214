"""Which policies a job stands under, and which of them sets each bound."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from mlray.clock import VirtualClock
from mlray.home import Home
from mlray.jobs.explaining import explain
from mlray.jobs.policies import Policies
from mlray.ledger.entry import Cause, Charge, Usage
from mlray.ledger.store import LedgerStore
from mlray.units import Money

ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
COMPANY = """
kind: policy
name: company
governs: {teams: ["*"]}
availability: {replicas: 1..3, min_ready: 1, target: 99%, survive: 1}
budget: {amount: $30, every: 1d, rate: $2/h}
"""


def test_a_deployment_under_two_policies_is_told_whose_bound_is_the_strictest(home: Home, tmp_path: Path):
    for folder in ("jobs", "policies"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "company.yaml").write_text(COMPANY)
    clock = VirtualClock(NOON)
    Policies(home, clock, "ada").apply(tmp_path / "company.yaml", "everybody has a limit")
    spent = Cause("tune", "late-tune", "late", tags=(("team", "late"),))
    LedgerStore(home.database).append(Charge("a", NOON, Money.parse("$10"), spent, Usage("spot", "spot", 60.0)))
    (found,) = explain(home, tmp_path / "jobs" / "flights" / "serve.yaml", clock)
    assert found.policies == ("flights", "company")
    said = found.sentences
    assert said[0] == "flights is governed by policies flights and company"
    assert {"at most $2.00/h (policy company)", "target 99.9% (policy flights)", "at most 3 replicas (policy company)"} <= set(said)
    assert "1 may be lost at once (policy company)" in said and "$20.00 left (policy company)" in said


def test_an_ingest_is_told_of_money_and_data_alone(home: Home):
    (found,) = explain(home, ROOT / "jobs" / "flights" / "ingest.yaml", VirtualClock(NOON))
    assert found.sentences[:2] == ("flights-ingest is governed by policy flights", "$4.00 left (policy flights)")
    assert not [line for line in found.sentences if "promised ready" in line]
