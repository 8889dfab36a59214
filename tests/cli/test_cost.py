import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlray.cli import main
from mlray.home import Home
from mlray.ledger.entry import Cause, Charge, Usage
from mlray.ledger.focus import COLUMNS
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
    return Cause(stage, f"flights-{stage}", "flights", f"{stage}-1", tags=(("team", "travel"),))


@pytest.fixture(autouse=True)
def _spent(home: Home) -> None:
    now = datetime.now(UTC)
    charges = [
        ("a", "tune", 0, 250_000, "lost"),
        ("b", "tune", 0, 500_000, ""),
        ("c", "ingest", 0, 1_000, ""),
        ("d", "tune", 9, 4_000_000, ""),
    ]
    LedgerStore(home.prepare().database).append(
        *(
            Charge(
                key,
                now - timedelta(days=days),
                Money(micros),
                cause(stage),
                Usage("spot", "spot", 60.0, node="n1", cluster="prod"),
                Money(2 * micros) if key == "b" else None,
                waste,
            )
            for key, stage, days, micros, waste in charges
        )
    )


def test_the_bill_is_grouped_and_sums(capsys: Captured):
    assert main(["cost"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "stage   job             team    capacity  node seconds  amount  savings  lost   idle",
        "tune    flights-tune    travel  spot      180.0         $4.75   $0.50    $0.25  $0.00",
        "ingest  flights-ingest  travel  spot      60.0          $0.001  -        $0.00  $0.00",
        "total                                     240.0         $4.751  $0.50    $0.25  $0.00",
    ]


def test_the_bill_of_the_last_day_by_another_column_in_json(capsys: Captured):
    assert main(["cost", "--since", "1d", "--by", "policy", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    measures = {
        "seconds": 180.0,
        "node_seconds": 180.0,
        "gib_months": 0.0,
        "amount_usd": 0.751,
        "savings_usd": 0.5,
        "lost_usd": 0.25,
        "idle_usd": 0.0,
    }
    assert said["rows"] == [{"policy": "flights"} | measures]
    assert (said["by"], said["total_usd"], said["total_savings_usd"], said["total_lost_usd"]) == (["policy"], 0.751, 0.5, 0.25)


def test_the_bill_of_a_span_where_a_tag_has_a_value(capsys: Captured):
    day = f"{datetime.now(UTC) - timedelta(days=9):%Y-%m-%d}"
    after = f"{datetime.now(UTC) - timedelta(days=8):%Y-%m-%d}"
    assert main(["cost", "--from", day, "--to", after, "--by", "day,run", "--where", "team=travel", "--json"]) == 0
    assert [(row["day"], row["run"], row["amount_usd"]) for row in json.loads(capsys.readouterr().out)["rows"]] == [(day, "tune-1", 4.0)]
    assert main(["cost", "--where", "team=other", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total_usd"] == 0.0


def test_the_bill_is_written_as_csv_picture_page_and_focus(tmp_path: Path, capsys: Captured):
    files = [tmp_path / name for name in ("bill.csv", "bill.png", "bill.html", "focus.csv")]
    assert main(["cost", "--by", "day,stage", "--csv", str(files[0]), "--plot", str(files[1]), "--focus", str(files[3])]) == 0
    assert main(["cost", "--by", "stage", "--plot", str(files[2])]) == 0
    with files[0].open() as csv_file, files[3].open() as focus_file:
        bill, rows = list(csv.DictReader(csv_file)), list(csv.DictReader(focus_file))
    assert sum(float(row["amount_usd"]) for row in bill) == sum(float(row["BilledCost"]) for row in rows) == 4.751
    assert tuple(rows[0]) == COLUMNS
    assert files[1].read_bytes().startswith(b"\x89PNG") and "<svg" in files[2].read_text()


def test_the_receipt_of_a_run_or_a_job_tells_work_and_waste_apart(capsys: Captured):
    for name in ("tune-1", "flights-tune"):
        assert main(["receipt", name]) == 0
        said = capsys.readouterr().out.splitlines()
        assert said[-5:] == [
            "work                     $4.50",
            "lost                     $0.25",
            "idle                     $0.00",
            "paid                     $4.75",
            "saved against on demand  $0.50",
        ]
    assert main(["receipt", "tune-1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total_usd"] == 4.75


def test_a_forecast_says_how_it_is_known(home: Home, capsys: Captured):
    assert main(["cost", "forecast"]) == 0
    assert "no policy is in force" in capsys.readouterr().out
    assert main(["cost", "forecast", "--horizon", "2d", "--json"]) == 0
    (said,) = json.loads(capsys.readouterr().out)["forecasts"]
    assert (said["of"], said["method"].startswith("bootstrap of 9.0 days")) == ("everything", True)
    assert 0 <= said["low"] <= said["expected"] <= said["high"]


def test_a_policy_is_forecast_to_the_end_of_its_window_with_what_it_governs(tmp_path: Path, capsys: Captured):
    (tmp_path / "travel.yaml").write_text(POLICY.replace("name: flights", "name: travel").replace("jobs: [flights-*]", "teams: [travel]"))
    assert main(["policy", "apply", str(tmp_path / "travel.yaml"), "--why", "to be watched"]) == 0
    capsys.readouterr()
    assert main(["cost", "forecast", "--json"]) == 0
    (said,) = json.loads(capsys.readouterr().out)["forecasts"]
    assert (said["of"], said["budget"], said["spent"]) == ("travel", 10.0, 0.751)
    assert said["spent"] <= said["low"] <= said["expected"] <= said["high"]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["cost", "--from", "yesterday"], "--from 'yesterday': write a day such as 2026-11-01"),
        (["cost", "--since", "1d", "--from", "2026-11-01"], "--since and --from both say where the bill begins"),
        (["cost", "--where", "team"], "--where 'team': write a column and its value"),
        (["cost", "--by", "team,,job"], "a column has no name"),
        (["cost", "--plot", "bill.pdf"], "the file's name ends in neither .png nor .html"),
        (["cost", "--csv", "/nowhere/bill.csv"], "/nowhere/bill.csv cannot be written: No such file or directory"),
        (["receipt", "nothing"], "the ledger has no charge of a run or a job 'nothing'"),
    ],
)
def test_what_cannot_be_told_is_refused_in_a_sentence(arguments: list[str], said: str, capsys: Captured):
    assert main(arguments) != 0
    assert said in capsys.readouterr().err


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
