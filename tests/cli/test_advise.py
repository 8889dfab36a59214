from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlray.cli import main
from mlray.home import Home
from mlray.ledger.entry import Cause, Charge, Usage
from mlray.ledger.store import LedgerStore
from mlray.units import Money

Captured = pytest.CaptureFixture[str]
LOCAL = Path(__file__).parents[2] / "cluster" / "local.yaml"


def test_advice_names_the_dollars_and_the_evidence(home: Home, capsys: Captured):
    now = datetime.now(UTC)
    cause, idle = Cause("cluster", "local", "flights"), Usage("spot", "spot", 3600.0, 1.0, "n1", "idle", "local")
    hours = (Charge(f"idle/{h}", now - timedelta(hours=h), Money.parse("$0.50"), cause, idle, waste="idle") for h in range(1, 49))
    LedgerStore(home.prepare().database).append(*hours)
    assert main(["advise", str(LOCAL), "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["advice"]
    assert (one["kind"], one["subject"]) == ("idle", "local/spot")
    assert 340 < one["monthly_usd"] < 375  # $24 in two days
    assert main(["advise", str(LOCAL)]) == 0
    assert "because $24.00 of $24.00 (100%) paid for 48 idle node-hours" in capsys.readouterr().out


def test_an_empty_ledger_gives_no_advice(capsys: Captured):
    assert main(["advise", str(LOCAL)]) == 0
    assert capsys.readouterr().out.startswith("no advice: nothing in")
