"""What a scenario is made of, and what is assumed where nothing was given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlray.errors import SpecError
from mlray.files import load
from mlray.jobs.spec import JOB
from mlray.market.spec import Cluster
from mlray.policy.spec import Policy
from mlray.serve.spec import ServeJob
from mlray.simulate.assembly import Parts, Settings, scenario, stepped, under
from mlray.simulate.scenario import Scenario
from mlray.tune.spec import TuneJob
from tests.simulate.scenes import policy, trace

ROOT = Path(__file__).parents[2]
CLUSTER = load(ROOT / "cluster/local.yaml", Cluster)


def job(name: str) -> ServeJob | TuneJob:
    found = load(ROOT / f"jobs/flights/{name}.yaml", JOB)
    assert isinstance(found, ServeJob | TuneJob)
    return found


def made(governed: Policy, *jobs: ServeJob | TuneJob, days: float = 1.0) -> Scenario:
    return scenario(governed, Parts(CLUSTER, jobs=jobs), Settings(days=days), np.random.default_rng(0))


def test_a_policy_alone_replays_what_it_names_a_node_for_each_replica():
    (served,) = made(policy(name="flights")).serving
    assert (served.name, served.watched.cpus, served.per_node) == ("flights0", 2.0, 1)
    assert served.watched.cause.policy == "flights"


def test_policies_that_govern_teams_or_tags_replay_work_that_bears_them():
    of_team = policy().model_copy(update={"governs": policy().governs.model_copy(update={"deployments": (), "teams": ("travel",)})})
    (served,) = made(of_team).serving
    assert served.watched.cause.tags == (("team", "travel"),)


def test_a_serve_job_brings_its_replicas_and_its_scaling():
    (served,) = made(policy(), job("serve")).serving
    assert (served.name, served.watched.cpus, served.per_node, served.window_s) == ("flights", 0.5, 1, 10.0)
    assert (served.pace.target, served.pace.up_after, served.pace.down_after) == (2.0, 2.0, 30.0)


def test_a_tune_job_brings_its_budget_and_trials_that_are_made_up():
    found = made(policy(), job("tune"))
    (searched,) = found.searching
    assert (len(searched.trials), str(searched.budget), searched.parallel, found.serving) == (100, "$0.10", 2, ())
    assert np.mean([t.work_s for t in searched.trials]) == pytest.approx(600.0, rel=0.3)
    assert any("made up" in note for note in found.notes)


def test_nodes_are_bounded_as_the_cluster_file_bounds_them():
    assert dict(made(policy()).most) == {"head": 0, "on-demand": 2, "spot": 2}


def test_another_policy_stands_over_the_same_market_and_load():
    first = made(policy(), job("serve"))
    second = under(first, policy(name="other"))
    assert (second.traces, second.offers, second.seed) == (first.traces, first.offers, first.seed)
    assert second.serving[0].load is first.serving[0].load and second.serving[0].watched.cause.policy == "other"


def test_a_trace_shorter_than_the_replay_says_that_it_begins_anew():
    parts = Parts(CLUSTER, (trace("local-a", [1] * 720, 60.0),))
    notes = scenario(policy(), parts, Settings(days=1.0), np.random.default_rng(0)).notes
    assert "the trace of local-a is 0.5 days long and begins anew" in notes


def test_generated_prices_stand_for_hours():
    prices = stepped(trace("a", [1] * 3, 3 * 3600.0, [1.0, 2.0, 3.0]), 0.5).price
    assert prices is not None and prices.tolist() == [0.5, 0.5, 1.5]


def test_a_policy_without_deployments_has_nothing_to_replay():
    none = policy().model_copy(update={"governs": policy().governs.model_copy(update={"deployments": ()})})
    with pytest.raises(SpecError, match="governs no deployment, so there is nothing to replay"):
        made(none)


def test_a_load_of_no_shape_is_refused():
    with pytest.raises(SpecError, match="none of the shapes steady, diurnal, weekly, bursty"):
        scenario(policy(), replace(Parts(CLUSTER), load="wavy"), Settings(), np.random.default_rng(0))
