"""What a budget refuses is not begun, and what it cuts short keeps what it found."""

from __future__ import annotations

import re

import pytest

from mlray.ledger.entry import Charge
from mlray.ledger.store import LedgerStore
from tests.scenarios.conftest import TRIALS, long, poor
from tests.scenarios.shell import Shell

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]


def test_a_policy_of_a_twentieth_of_a_cent_refuses_every_stage_in_one_sentence(shell: Shell, cluster: dict[str, str]):
    ingest, tune, serve = poor(shell)
    for command, job, said in (
        ("ingest", ingest, "poor-ingest asks for $0.05, and policy poor has $0.000025 of $0.000025 left for ingest until"),
        ("tune", tune, "poor-tune asks for $0.10, and policy poor has $0.0001 of $0.0001 left for tune until"),
        ("deploy", serve, "poor-serve is not started: policy poor has $0.000375 of $0.000375 left for serve until"),
    ):
        refused = shell.mlray(command, job)
        assert (refused.code, refused.out) == (3, ""), refused
        assert len([line for line in refused.err.splitlines() if line.startswith("error: ")]) == 1 and said in refused.err
    standing = shell.json("policy", "explain", "policies/poor.yaml")
    assert (standing["spent_usd"], standing["reserved_usd"]) == (0, 0)
    assert LedgerStore(shell.home.database).entries(policy="poor") == ()


def test_a_search_whose_dollars_run_out_midway_keeps_its_best_and_says_by_how_much(shell: Shell, cluster: dict[str, str]):
    shell.write("jobs/flights/short.yaml", "jobs/flights/tune.yaml", **long(2000) | {"budget": "$0.0015", "trials": TRIALS % (4, 99)})
    before = {model["version"] for model in shell.json("data", "list", "--models")["models"]}
    found = shell.json("tune", "jobs/flights/short.yaml")
    assert re.search(r"\$[\d.]+", found["ended"]), found["ended"]
    assert found["model"] in {model["version"] for model in shell.json("data", "list", "--models")["models"]} - before
    assert found["overspend_usd"] == pytest.approx(max(0.0, found["spent_usd"] - 0.0015), abs=1e-6)
    assert found["spent_usd"] > 0.00075 and found["overspend_usd"] <= largest_charge(shell, "flights-tune")


def largest_charge(shell: Shell, job: str) -> float:
    """Of the job's last run: what one report interval cost at most."""
    charges = [entry for entry in LedgerStore(shell.home.database).entries(policy="flights") if isinstance(entry, Charge)]
    mine = [charge for charge in charges if charge.cause.job == job]
    last = max(mine, key=lambda charge: charge.at).cause.run
    return max(charge.amount.usd for charge in mine if charge.cause.run == last)
