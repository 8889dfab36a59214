"""The main job: once in one command, then stage by stage on the same home, and the bill of both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.conftest import TRIALS, Demonstrated, poor
from tests.scenarios.shell import Shell

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def facts(demo: Demonstrated) -> dict[str, Any]:
    print(f"demo took {demo.seconds:.0f} s")
    found = demo.said.json
    assert isinstance(found, dict)
    return found


def test_the_demo_reads_336776_rows_and_seals_them(facts: dict[str, Any]):
    assert facts["rows_read"] == 336_776 and facts["encrypted"] is True
    assert facts["rows_rejected"] == sum(facts["rejected"].values()) == 9_430
    assert len(facts["version"]) == 64


def test_the_demo_finds_a_model_inside_its_budget(facts: dict[str, Any]):
    assert 1 <= facts["trials"] <= 3
    assert 0 < facts["spent_usd"] <= facts["budget_usd"] == 80
    assert 0.6 < facts["auc_validation"] < 1 and 0.6 < facts["auc_test"] < 1
    assert facts["spent_usd"] == pytest.approx(sum(row["usd"] for row in facts["receipt"]), abs=1e-9)
    assert {row["stage"] for row in facts["receipt"]} == {"ingest", "tune", "serve"}


def test_the_demo_serves_a_probability_and_leaves_no_process(facts: dict[str, Any], demo: Demonstrated):
    assert facts["endpoint"].startswith("http://127.0.0.1:") and 0 < facts["prediction"] < 1
    assert demo.left == {} and demo.remains == ()


def test_the_same_flights_are_not_ingested_twice(shell: Shell, cluster: dict[str, str], facts: dict[str, Any]):
    again = shell.json("ingest", "jobs/flights/ingest.yaml")
    assert again["reused"] is True and again["rows_read"] == facts["rows_read"]
    assert facts["version"].startswith(again["version"].partition("@")[2])


def test_a_deployment_is_asked_by_its_name(shell: Shell, cluster: dict[str, str], flight: Path):
    (answer,) = shell.json("predict", "flights", str(flight))["predictions"]
    assert 0 < answer < 1


def test_status_shows_every_node_with_its_price(shell: Shell, cluster: dict[str, str]):
    nodes = shell.json("status")["cluster"]["nodes"]
    assert {(node["type"], node["state"]) for node in nodes} >= {("head", "ready"), ("spot", "ready"), ("on-demand", "ready")}
    assert {node["type"]: node["price_usd_per_hour"] for node in nodes} == {"head": 0.10, "spot": 0.97, "on-demand": 3.06}


def test_a_submitted_job_ends_with_the_exit_code_of_its_driver(shell: Shell, cluster: dict[str, str]):
    shell.write("jobs/flights/one.yaml", "jobs/flights/tune.yaml", trials=TRIALS % (1, 3))
    done = shell.mlray("submit", "jobs/flights/one.yaml", "--json")
    assert (done.code, json.loads(done.out)) == (0, {"exit_code": 0}), done.err


def test_a_submitted_job_that_its_policy_refuses_ends_with_3(shell: Shell, cluster: dict[str, str]):
    poor(shell)
    refused = shell.mlray("submit", "jobs/flights/poor-tune.yaml")
    assert refused.code == 3 and "asks for $0.10, and policy poor has $0.0001 of $0.0001 left for tune" in refused.out, refused


@pytest.mark.parametrize("by", ["stage", "job", "team", "capacity", "stage,run,item"])
def test_every_bill_adds_up_to_the_ledger(by: str, shell: Shell, cluster: dict[str, str]):
    bill = shell.json("cost", "--by", by)
    assert sum(row["amount_usd"] for row in bill["rows"]) == pytest.approx(bill["total_usd"], abs=1e-9)
