"""A spot node is taken away without notice, under a running search, on a real cluster of several nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlray.home import Home
from mlray.launch.on_ray import Connection, kill_node, status
from mlray.ledger.entry import Cause, Charge
from mlray.progress import Progress
from mlray.tune.on_ray import tune
from mlray.tune.trial import State
from mlray.units import ZERO, Money
from tests.clusters import running_cluster
from tests.tune.sealed import dollars, job, seal

pytestmark = pytest.mark.ray
ROUNDS = {"kind": "int", "low": 100, "high": 101, "start": 100}
SPACE = {"rounds": ROUNDS, "max_depth": {"kind": "int", "low": 6, "high": 9, "start": 8}}


def spot_node(home: Home, cluster: Connection) -> str:
    return next(node.id for node in status(home, cluster.name).nodes if node.type == "spot")


def test_after_the_loss_of_the_spot_node_both_trials_go_on_from_their_checkpoints(tmp_path: Path):
    home = Home.at(tmp_path / "home")
    vault, _ = seal(home.root, "big", scale=10)
    charges: dict[str, Charge] = {}
    killed: list[str] = []
    told: list[str] = []
    with running_cluster(home) as cluster:

        def hear(progress: Progress) -> None:
            told.append(progress.message)
            if not killed and ": gaining" in progress.message and "t002: auc" in progress.message and "round 40/" in progress.message:
                killed.append(spot_node(home, cluster))
                kill_node(home, cluster.name, killed[0])

        def book(charge: Charge) -> Money:
            charges.setdefault(charge.key, charge)
            return dollars("$1.00") - sum((held.amount for held in charges.values()), ZERO)

        asked = job(dataset="big", space=SPACE, fixed={"eta": 0.01}, trials={"most": 3})
        cause, prices = Cause("tune", asked.name, "flights"), cluster.cluster.metadata.mlray.known
        found = tune(asked, vault, prices, dollars("$1.00"), None, book, cause, tmp_path / "tune", hear)

    assert killed, told
    assert [trial.state for trial in found.trials] == [State.DONE] * 3 and found.model is not None
    lost = [trial for trial in found.trials if trial.losses]
    assert lost and all(trial.losses == 1 for trial in lost), told
    for trial in lost:
        rounds = [report.round for report in trial.measured]
        assert len(set(rounds)) == 10 and len(rounds) <= 11, f"at most the report under way is done again: {rounds}"
        assert len({(report.round, report.auc) for report in trial.measured}) == 10, "what was done twice came out the same"
        assert any(key.split("/")[1:3] == [trial.id, "1"] for key in charges), "its second attempt is charged apart"
    assert {charge.usage.capacity for charge in charges.values()} == {"spot"}
    assert found.spent == sum((charge.amount for charge in charges.values()), ZERO) and found.overspend == ZERO
