"""why: what was decided, about whom, and the reason, as long as the home lives."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from mlray.cli import main
from mlray.govern.actions import Action, HoldJobs, PauseTrial, SetAllowance
from mlray.govern.journal import Intent, Outcome
from mlray.govern.store import GovernStore
from mlray.home import Home
from tests.govern.givens import NOON, OPEN

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _decided(home: Home) -> None:
    url = home.prepare().database
    said: list[tuple[str, Action]] = [
        ("local", SetAllowance("flights", "d", OPEN, "flights")),
        ("local", HoldJobs("flights", True, "$0.10 is left of $20.00")),
        ("local", PauseTrial("run-1", "t002", "flights", "it gains least for a dollar")),
        ("other", SetAllowance("clicks", "d", OPEN, "clicks")),
    ]
    for i, (cluster, action) in enumerate(said):
        store = GovernStore(url, cluster)
        (seq,) = store.begin([Intent(NOON + timedelta(seconds=i), action, {"flights": "d1"}, {"left": 0.1})])
        store.finish({seq: Outcome("done")})


def lines(capsys: Captured, *words: str) -> list[list[str]]:
    assert main(["why", *words]) == 0
    return [line.split("  ") for line in capsys.readouterr().out.splitlines()]


def test_all_clusters_tell_their_newest_decisions_in_the_order_of_time(capsys: Captured):
    assert main(["why", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["decisions"]
    assert [(line["cluster"], line["subject"], line["what"]) for line in said] == [
        ("local", "flights", "may run 2 to 4 replicas"),
        ("local", "jobs of flights", "jobs are held back"),
        ("local", "run-1/t002", "paused"),
        ("other", "clicks", "may run 2 to 4 replicas"),
    ]
    assert said[1]["why"] == "$0.10 is left of $20.00" and said[1]["facts"] == {"left": 0.1} and said[1]["policies"] == {"flights": "d1"}
    assert len(lines(capsys, "--last", "2")) == 3


def test_a_run_tells_of_its_trials_and_a_policy_of_all_it_asked_for(capsys: Captured):
    assert main(["why", "run-1"]) == 0
    assert "run-1/t002  paused" in capsys.readouterr().out
    assert len(lines(capsys, "flights")) == 4
    assert len(lines(capsys, "clicks")) == 2


def test_what_nothing_was_decided_about_is_one_sentence(capsys: Captured):
    assert main(["why", "nobody"]) == 2
    assert "nothing was ever decided about nobody" in capsys.readouterr().err
