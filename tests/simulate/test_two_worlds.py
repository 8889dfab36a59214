"""One declared scenario, two worlds: what tests/scenarios/test_short_budget.py shows on Ray happens here under a virtual clock."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlray.files import load
from mlray.govern.journal import Line
from mlray.govern.snapshot import TrialState, Watched
from mlray.ledger.entry import Cause, Charge, Usage
from mlray.market.offer import offers
from mlray.market.spec import Cluster
from mlray.serve.scaling import Pace
from mlray.simulate.load import Load
from mlray.simulate.replay import Play
from mlray.simulate.scenario import Notices, Scenario, Searched, Served, TrialPlan
from mlray.simulate.service import Service
from mlray.units import Money
from tests.scenarios.short_budget import CPUS, DEPLOYMENT, OTHER, REPLICAS, RUNS_OUT, SEARCH, STORY, TRIALS, policy, story, values
from tests.simulate.scenes import trace

TICK_S, BEFORE, AFTER = 5.0, 24, 24
ROOT = Path(__file__).parents[2]


class Scene:
    """The scenario on the nodes of cluster/local.yaml, two minutes before the money goes and two minutes after."""

    def __init__(self) -> None:
        under, nodes = policy(), load(ROOT / "cluster/local.yaml", Cluster)
        watched = Watched(DEPLOYMENT, under, CPUS, "any", Cause("serve", DEPLOYMENT, under.name, "flights-1"))
        served = Served(watched, Load(np.array([1.0]), 60.0), Service(), Pace(2.0, 2.0, 30.0), per_node=1)
        trials = tuple(TrialPlan(f"t{i + 1:03d}", 86400.0, 3.0 - i) for i in range(TRIALS))
        search = Searched(Cause("tune", SEARCH, under.name, "short-tune-1"), under, trials, Money.parse("$5"), cpus=1.0)
        self.play = Play(
            Scenario(
                (under,),
                offers(nodes),
                (trace("local-a", [8]),),
                (served,),
                (search,),
                days=1.0,
                tick_s=TICK_S,
                cold_start_s=30.0,
                notices=Notices(0.0, 0.0),
            )
        )
        for tick in range(BEFORE):
            self.play.tick(tick)
        self.at, self.before = self.play.clock.now(), self.paid()
        self.play.book.append(Charge("short-other/1", self.at, RUNS_OUT, OTHER, Usage("", "", 0.0)))
        self.play.tick(BEFORE)
        self.then = self.paid()
        for tick in range(BEFORE + 1, BEFORE + AFTER):
            self.play.tick(tick)

    @property
    def lines(self) -> tuple[Line, ...]:
        """Of the journal, since the money went."""
        return tuple(line for line in self.play.journal.lines if line.at >= self.at)

    def paid(self) -> Money:
        """What the search has paid so far."""
        return self.play.world.searches["short-tune-1"].outcome.spent


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def test_the_same_things_are_done_in_the_same_order_as_on_ray(scene: Scene):
    assert story(scene.lines) == STORY


def test_the_trial_of_less_value_is_paused_first(scene: Scene):
    worth = values(scene.lines)
    assert worth == sorted(worth) and len(worth) == TRIALS


def test_the_search_spends_at_most_one_tick_after_the_money_went(scene: Scene):
    """The tick in which it went was paid when the governor looked; nothing is after that."""
    assert scene.paid() == scene.then
    spot = Money(970_000 * 5 * TRIALS // 3600)
    assert scene.then.micros - scene.before.micros <= spot.micros


def test_trials_stay_paused_and_the_floor_goes_on(scene: Scene):
    (run,) = scene.play.world.runs()
    assert [trial.state for trial in run.trials] == [TrialState.PAUSED] * TRIALS
    assert scene.play.world.serving[DEPLOYMENT].track.moments[-1].ready >= REPLICAS
