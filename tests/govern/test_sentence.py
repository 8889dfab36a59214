"""What was done, in a few words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlray.govern.actions import Action, Drain, HoldJobs, Notify, PauseTrial, ResumeTrial, SetAllowance, StopCluster, StopRun
from mlray.govern.journal import DROPPED, Line
from mlray.govern.sentence import doing, done
from tests.govern.givens import NOON, OPEN

LINE = Line(1, NOON, "run-1", "StopRun", "flights", "{}", '{"run": "run-1"}', "{}", "no money is left", "done", "")


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (SetAllowance("flights", "d", OPEN), "may run 2 to 4 replicas"),
        (HoldJobs("flights", True, ""), "jobs are held back"),
        (HoldJobs("flights", False, ""), "jobs are admitted"),
        (PauseTrial("run-1", "t1", "flights", ""), "paused"),
        (ResumeTrial("run-1", "t1", "flights", ""), "goes on"),
        (StopRun("run-1", "flights", ""), "stopped"),
        (Drain("n1", "flights", ""), "drained"),
        (StopCluster("local", "flights", ""), "taken down"),
        (Notify("flights", "80%", "w", "flights", ""), "people were told: 80%"),
    ],
)
def test_every_action_has_its_words(action: Action, words: str):
    assert doing(action) == words


def test_what_is_not_done_says_how_far_it_came():
    assert done(LINE) == "stopped"
    assert done(replace(LINE, state="")) == "stopped (begun)"
    assert done(replace(LINE, state="", outcome="no such run")) == "stopped (tried, and will be tried again: no such run)"
    assert done(replace(LINE, state=DROPPED, outcome="it ended")) == "stopped (dropped: it ended)"
