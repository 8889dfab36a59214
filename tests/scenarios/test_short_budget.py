"""A budget runs out in the middle of a search and a deployment: what gives way, in which order, and what people are told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from subprocess import Popen

import pytest

from mlray.govern.journal import Line
from mlray.govern.loop import TICK_S
from mlray.govern.register import Register
from mlray.govern.snapshot import TrialState
from mlray.govern.store import GovernStore
from mlray.ledger.entry import Charge, Usage
from mlray.ledger.store import LedgerStore
from tests.clusters import eventually
from tests.scenarios.shell import Shell, follow
from tests.scenarios.short_budget import DEPLOYMENT, OTHER, POLICY, RUNS_OUT, SEARCH, STORY, TRIALS, story, values
from tests.tune.sealed import job, seal

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]
WITHIN_S = 40


@dataclass(frozen=True)
class Scene:
    """The search while it runs, and when the money went."""

    shell: Shell
    search: Popen[str]
    at: datetime

    @property
    def lines(self) -> tuple[Line, ...]:
        """Of the journal, since the money went."""
        found = GovernStore(self.shell.home.database, "local").journal(last=1000)
        return tuple(line for line in found if line.at >= self.at)

    def tuning(self) -> list[Charge]:
        found = LedgerStore(self.shell.home.database).entries(policy="short")
        return [one for one in found if isinstance(one, Charge) and one.cause.job == SEARCH]

    def trials(self) -> list[TrialState]:
        runs = Register(self.shell.home.database, "local").runs(datetime.now(UTC))
        return [trial.state for run in runs for trial in run.trials]


@pytest.fixture(scope="module")
def scene(shell: Shell, cluster: dict[str, str]) -> Iterator[Scene]:
    seal(shell.home.root, "big", scale=10)
    (shell.folder / "policies/short.yaml").write_text(json.dumps(POLICY))
    (shell.folder / "jobs/short.yaml").write_text(json.dumps(search()))
    applied = shell.mlray("policy", "apply", "policies/short.yaml", "--why", "to run out")
    assert applied.code == 0, applied
    running = shell.start("tune", "jobs/short.yaml", "--json")
    try:
        for trial in ("t001", "t002"):
            follow(running, f"{trial}: auc")
        at = datetime.now(UTC)
        LedgerStore(shell.home.database).append(Charge("short-other/1", at, RUNS_OUT, OTHER, Usage("", "", 0.0)))
        yield Scene(shell, running, at)
    finally:
        running.kill()
        running.communicate()
        shell.mlray("policy", "end", "short", "--why", "it ran out")


def search() -> dict[str, object]:
    """Two trials at once, far longer than the search may last."""
    rounds = {"kind": "int", "low": 4000, "high": 4001}
    depth = {"kind": "int", "low": 6, "high": 8, "start": 8}
    trials = {"most": TRIALS, "parallel": TRIALS, "patience": 400}
    made = job(
        name=SEARCH, dataset="big", fixed={"eta": 0.01}, space={"rounds": rounds, "max_depth": depth}, trials=trials, within=f"{WITHIN_S}s"
    )
    return made.model_dump(mode="json", exclude_unset=True) | {"policy": "../policies/short.yaml"}


def soon(claim: Callable[[], object]) -> bool:
    return eventually(claim, 4 * TICK_S)


def test_the_plan_is_carried_out_in_the_order_of_sacrifice_and_told_once(scene: Scene):
    assert soon(lambda: len(story(scene.lines)) >= len(STORY)), story(scene.lines)
    assert story(scene.lines) == STORY
    less, more = values(scene.lines)
    assert less <= more
    assert all(line.reason and json.loads(line.policies)["short"] for line in scene.lines)


def test_the_trials_pause_and_the_search_spends_no_more_than_one_tick(scene: Scene):
    assert soon(lambda: scene.trials() == [TrialState.PAUSED] * TRIALS), scene.trials()
    after = [one for one in scene.tuning() if one.at > scene.at]
    burn = sum(one.usage.seconds for one in after)
    assert burn <= TRIALS * (TICK_S + 2.0), "a tick, and a beat until the order is obeyed"
    assert max((one.at for one in after), default=scene.at) - scene.at <= timedelta(seconds=TICK_S + 3.0)


def test_jobs_are_refused_in_one_sentence_and_the_floor_is_held(scene: Scene):
    refused = scene.shell.mlray("tune", "jobs/short.yaml")
    assert refused.code == 3 and "policy short admits no jobs now, for its money is short" in refused.err, refused
    (flights,) = scene.shell.json("status")["deployments"]
    assert (flights["floor"], flights["ceiling"]) == (2, 2) and flights["ready"] >= 1


def test_the_search_ends_at_its_deadline_with_the_best_it_had(scene: Scene):
    out, err = scene.search.communicate(timeout=WITHIN_S + 60)
    assert scene.search.returncode == 0, err
    found = json.loads(out)
    assert found["ended"] == "the deadline was reached" and found["model"]
    assert Register(scene.shell.home.database, "local").runs(datetime.now(UTC)) == ()
    assert story(scene.lines)[: len(STORY)] == STORY, "nobody was told twice"
    assert DEPLOYMENT in {line.subject for line in scene.lines}
