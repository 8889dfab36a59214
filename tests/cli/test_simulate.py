"""mlray simulate: what it prints and writes, and what it says of inputs it cannot act on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlray.cli import main

Captured = pytest.CaptureFixture[str]
POLICY = """\
kind: policy
name: {name}
governs: {{deployments: [flights]}}
availability: {{min_ready: 2, replicas: {replicas}, target: 50%}}
budget: {{amount: $80, every: 1d}}
"""
CLUSTER = """\
cluster_name: small
provider: {type: external}
head_node_type: head
max_workers: 9
available_node_types:
  head: {resources: {CPU: 0}, node_config: {}}
  spot:
    resources: {CPU: 4}
    labels: {ray.io/market-type: spot, ray.io/availability-zone: us-east-1a}
    node_config: {}
    max_workers: 9
metadata:
  mlray:
    prices: {head: $0.10/h, spot: $0.36/h}
"""


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cluster").mkdir()
    Path("cluster/local.yaml").write_text(CLUSTER)
    Path("two.yaml").write_text(POLICY.format(name="two", replicas="2..2"))
    Path("three.yaml").write_text(POLICY.format(name="three", replicas="3..3"))
    rows = "".join(f"{tick},60,us-east-1a,{2 if tick < 30 else 9}\n" for tick in range(60))
    Path("trace.csv").write_text("tick,tick_s,zone,nodes\n" + rows)
    Path("load.csv").write_text("time,rps\n0,1\n60,3\n120,2\n")


def facts(capsys: Captured, *arguments: str) -> dict[str, Any]:
    assert main(["simulate", *arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


HOUR = ("--days", "0.041666667", "--trace", "trace.csv", "--load", "load.csv", "--notice", "0s")


def test_dollars_promises_and_windows_are_told_as_facts(capsys: Captured):
    (found,) = facts(capsys, "two.yaml", *HOUR).values()
    assert (found["policy"], found["spent_usd"], found["overspent_usd"], found["seed"]) == ("two", 0.72, 0.0, 0)
    (kept,) = found["serving"]
    assert (kept["deployment"], kept["available"], kept["good"], kept["requests"]) == ("flights", 1.0, 1.0, pytest.approx(7200.0))
    assert [(w["amount_usd"], w["spent_usd"]) for w in found["windows"]] == [(80.0, 0.72)]
    assert "flights: recorded load load.csv, 2.0 requests a second on average" in found["notes"]


def test_the_same_inputs_print_the_same_bytes(capsys: Captured):
    told = []
    for _ in range(2):
        assert main(["simulate", "two.yaml", "--days", "0.2", "--json", "--decisions"]) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]


def test_a_market_that_is_generated_says_so(capsys: Captured):
    assert main(["simulate", "two.yaml", "--days", "0.1", "--seed", "7"]) == 0
    assert "no trace was given: the market of us-east-1a is generated, seed 7" in capsys.readouterr().out


def test_decisions_are_told_with_their_reasons(capsys: Captured):
    (found,) = facts(capsys, "two.yaml", *HOUR, "--decisions").values()
    kinds = {d["kind"] for d in found["decisions"]}
    assert {"SetAllowance", "Scale", "Place"} <= kinds and all(d["reason"] for d in found["decisions"])
    assert main(["simulate", "two.yaml", *HOUR, "--decisions"]) == 0
    assert "decisions under two:" in capsys.readouterr().out


def test_two_policies_stand_side_by_side_over_one_market_and_load(capsys: Captured):
    found = facts(capsys, "two.yaml", "--compare", "three.yaml", *HOUR)
    first, second = found["replays"]
    assert first["serving"][0]["requests"] == second["serving"][0]["requests"]
    assert found["difference"]["dollars_usd"] == pytest.approx(second["spent_usd"] - first["spent_usd"])
    assert (found["difference"]["first"], found["difference"]["second"]) == ("two", "three")
    assert main(["simulate", "two.yaml", "--compare", "three.yaml", *HOUR]) == 0
    assert "three instead of two:" in capsys.readouterr().out


def test_pictures_and_pages_are_written_and_hold_no_scripts(capsys: Captured):
    found = facts(capsys, "two.yaml", "--compare", "three.yaml", *HOUR, "--png", "out.png", "--html", "out.html")
    assert found["written"] == ["out.png", "out.html"] and Path("out.png").read_bytes().startswith(b"\x89PNG")
    page = Path("out.html").read_text("utf-8")
    assert "<script" not in page and page.count("<svg") == 1 and "three instead of two" in page and "Decisions under three" in page
    assert sorted(path.name for path in Path().glob("*out*")) == ["out.html", "out.png"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["absent.yaml"], "absent.yaml: no such file"),
        (["two.yaml", "--trace", "absent.csv"], "absent.csv: cannot be read: No such file or directory"),
        (["two.yaml", "--load", "absent.csv"], "absent.csv: cannot be read: No such file or directory"),
        (
            ["two.yaml", "--trace", "elsewhere.csv"],
            "no trace is of a zone of this cluster: spot nodes stand in us-east-1a, the traces are of mars",
        ),
        (["two.yaml", "--load", "negative.csv"], "negative.csv:3: rps: '-1': a number is wanted, 0 or more"),
        (["two.yaml", "--load", "uneven.csv"], "uneven.csv:4: time: 240 s after the row before, where 60 s is the first step"),
        (["two.yaml", "--load", "columns.csv"], "columns.csv:1: rps: the columns rps and time, or rps, tick and tick_s, are wanted"),
        (["jobs.yaml"], "policy jobs governs no deployment, so there is nothing to replay"),
        (["two.yaml", "--days", "0"], "--days 0 --seed 0: days above 0"),
        (["two.yaml", "--tick", "0s"], "--tick 0s: longer than 0s is wanted"),
        (["two.yaml", "--notice-chance", "120%"], "--notice-chance '120%': write at most 100%"),
        (["two.yaml", "--days", "0.01", "--png", "nowhere/out.png"], "nowhere/out.png cannot be written"),
        (["two.yaml", "--job", "ingest.yaml"], "ingest.yaml: kind pipeline is not replayed"),
    ],
)
def test_inputs_nobody_can_act_on_are_one_clear_error(capsys: Captured, arguments: list[str], said: str):
    Path("elsewhere.csv").write_text("tick,tick_s,zone,nodes\n0,60,mars,1\n1,60,mars,1\n")
    Path("negative.csv").write_text("time,rps\n0,1\n60,-1\n")
    Path("uneven.csv").write_text("time,rps\n0,1\n60,1\n300,1\n")
    Path("columns.csv").write_text("time,load\n0,1\n60,1\n")
    Path("jobs.yaml").write_text("kind: policy\nname: jobs\ngoverns: {jobs: [flights-*]}\nbudget: {amount: $80, every: 1d}\n")
    Path("ingest.yaml").write_text("kind: pipeline\nname: all\nsteps: [two.yaml]\n")
    assert main(["simulate", *arguments]) == 2
    printed = capsys.readouterr()
    assert said in printed.err and printed.out == "" and "Traceback" not in printed.err
