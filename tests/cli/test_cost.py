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
POLICY = """\
kind: policy
name: flights
governs: {jobs: [flights-*]}
budget: {amount: $10.00, every: 1d}
"""


def cause(stage: str) -> Cause:
    return Cause(stage, f"flights-{stage}", "flights", tags=(("team", "travel"),))


@pytest.fixture(autouse=True)
def _spent(home: Home) -> None:
    now = datetime.now(UTC)
    charges = [("a", "tune", 0, 250_000), ("b", "tune", 0, 500_000), ("c", "ingest", 0, 1_000), ("d", "tune", 9, 4_000_000)]
    LedgerStore(home.prepare().database).append(
        *(
            Charge(key, now - timedelta(days=days), Money(micros), cause(stage), Usage("spot", "spot", 60.0))
            for key, stage, days, micros in charges
        )
    )


def test_the_bill_is_grouped_and_sums(capsys: Captured):
    assert main(["cost"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "stage   job             team    capacity  node seconds  amount",
        "tune    flights-tune    travel  spot      180.0         $4.75",
        "ingest  flights-ingest  travel  spot      60.0          $0.001",
        "total                                     240.0         $4.751",
    ]


def test_the_bill_of_the_last_day_by_another_column_in_json(capsys: Captured):
    assert main(["cost", "--since", "1d", "--by", "policy", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"by": ["policy"], "rows": [{"policy": "flights", "seconds": 180.0, "amount_usd": 0.751}], "total_usd": 0.751}


def test_a_policy_explains_what_is_left_in_its_window(tmp_path: Path, capsys: Captured):
    (tmp_path / "flights.yaml").write_text(POLICY)
    assert main(["policy", "explain", str(tmp_path / "flights.yaml"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["amount_usd"], said["spent_usd"]) == (10.0, 0.751)
    assert main(["policy", "explain", str(tmp_path / "flights.yaml")]) == 0
    assert "spent $0.751 of $10.00" in capsys.readouterr().out


def test_every_mistake_of_every_policy_file_is_told_at_once(tmp_path: Path, capsys: Captured):
    (tmp_path / "good.yaml").write_text(POLICY)
    (tmp_path / "bad.yaml").write_text(POLICY.replace("$10.00", "10").replace("governs", "govern"))
    assert main(["policy", "check", str(tmp_path / "good.yaml"), str(tmp_path / "bad.yaml"), str(tmp_path / "none.yaml")]) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path}/bad.yaml:4: budget.amount: 10: write it with its unit" in said
    assert "did you mean governs?" in said and "none.yaml: no such file" in said
    assert main(["policy", "check", str(tmp_path / "good.yaml")]) == 0
