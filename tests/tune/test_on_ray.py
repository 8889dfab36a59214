from __future__ import annotations

import json
import os
import signal
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import ray
import xgboost as xgb

from mlray.clock import SystemClock
from mlray.errors import RefusedError, SpecError
from mlray.features.transform import Transform
from mlray.home import Home
from mlray.launch.on_ray import Connection, status
from mlray.ledger.entry import Cause, Charge
from mlray.progress import Progress
from mlray.tune.desk import ungoverned
from mlray.tune.metrics import auc
from mlray.tune.on_ray import Searched, tune
from mlray.tune.orders import NONE, Orders
from mlray.tune.search import Search
from mlray.tune.trial import State
from mlray.units import ZERO, Duration, Money, Price
from mlray.vault.store import VaultAddress
from tests.clusters import Shared
from tests.tune.sealed import dollars, job, rows, seal

pytestmark = pytest.mark.ray
PRICES = {"spot": Price.parse("$0.97/h")}
LONG = {"rounds": {"kind": "int", "low": 400, "high": 401, "start": 400}, "max_depth": {"kind": "int", "low": 6, "high": 8, "start": 8}}
SLOW = {"dataset": "big", "space": LONG, "fixed": {"eta": 0.01}}


@pytest.fixture(scope="module", autouse=True)
def cluster(shared_cluster: Shared) -> Connection:
    return shared_cluster.connection


@pytest.fixture(scope="module")
def home(shared_cluster: Shared) -> Home:
    return shared_cluster.home


@pytest.fixture(scope="module")
def vault(tmp_path_factory, cluster: Connection) -> VaultAddress:
    folder = tmp_path_factory.mktemp("vault")
    seal(folder, "big", scale=10)
    return seal(folder)[0]


class Till:
    """Books charges, each key once, and hears the progress."""

    def __init__(self, limit="$1.00", then=lambda progress: None) -> None:
        self.limit, self.charges, self.told, self._then = dollars(limit), dict[str, Charge](), list[Progress](), then

    def book(self, charge: Charge) -> Money:
        self.charges.setdefault(charge.key, charge)
        return self.limit - self.total

    def hear(self, progress: Progress) -> None:
        self.told.append(progress)
        self._then(progress)

    @property
    def total(self) -> Money:
        return sum((charge.amount for charge in self.charges.values()), ZERO)


class Leaping(SystemClock):
    """The system's clock, set forward by hand."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self._ahead

    def leap_to(self, there: datetime) -> None:
        self._ahead += max(timedelta(0), there - self.now())


def run(work, vault: VaultAddress, till: Till, storage: Path, prices=PRICES, deadline=None, clock=None, oversee=ungoverned) -> Searched:
    cause = Cause("tune", work.name, "flights")
    return tune(work, vault, prices, till.limit, deadline, till.book, cause, storage, till.hear, clock, oversee)


def test_six_trials_become_one_sealed_model_and_every_second_is_charged(vault, tmp_path):
    till = Till()
    found = run(job(), vault, till, tmp_path)
    assert (len(found.trials), found.ended) == (6, "all 6 trials were tried")
    assert found.spent == till.total > ZERO and found.overspend == ZERO
    assert {charge.cause.item for charge in till.charges.values()} == {f"t{i:03d}" for i in range(1, 7)}
    assert {(c.usage.node_type, c.usage.capacity, c.usage.share) for c in till.charges.values()} == {("spot", "spot", 0.5)}
    assert found.model is not None and found.best is not None
    files = vault.open().open_model(found.model)
    assert sorted(files) == ["card.json", "model.json", "transform.json"]
    card = json.loads(files["card.json"])
    assert card["metrics"]["auc_validation"] == pytest.approx(found.best.auc, abs=1e-6) == found.metric_validation
    assert card["dataset"] == str(vault.open().find_dataset("toy")) and card["dollars"] == found.spent.usd
    assert found.model.manifest.lineage == (("dataset:toy", card["dataset_digest"]),)


def test_the_committed_files_alone_give_the_test_auc_on_the_card(vault, tmp_path):
    fitted = {"pca": {"components": 2, "of": ("distance", "wind")}, "select": {"most": 3}}
    features = {"number": ("distance", "wind"), "category": ("carrier",), "time": ("when",), **fitted}
    found = run(job(features=features, trials={"most": 2}), vault, Till(), tmp_path)
    assert found.model is not None
    files = vault.open().open_model(found.model)
    booster, transform = xgb.Booster(model_file=bytearray(files["model.json"])), Transform.from_json(files["transform.json"])
    assert transform.names == ("carrier", "pca.1", "pca.2")
    test = rows(1000, 2)
    scores = np.asarray(booster.inplace_predict(transform.apply(test)))
    assert auc(test["late"].to_numpy(), scores) == pytest.approx(found.metric_test, abs=1e-6)
    assert found.metric_test > 0.85


def test_nothing_is_left_in_the_storage_of_a_finished_search(vault, tmp_path):
    run(job(trials={"most": 1}), vault, Till(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_while_it_runs_no_byte_on_disk_shows_the_data_or_a_tree(vault, tmp_path):
    seen = []

    def look(progress: Progress) -> None:
        for file in tmp_path.rglob("*"):
            if file.is_file() and file.suffix not in (".pkl", ".json"):
                data = file.read_bytes()
                seen.append(file.name)
                assert not any(word in data for word in (b"distance", b"gbtree", b"learner", b"split_conditions")), file

    run(job(trials={"most": 3}), vault, Till(then=look), tmp_path)
    assert any(name.endswith(".sealed") for name in seen)


def test_the_search_stops_at_its_limit_with_the_best_so_far(vault, tmp_path):
    till = Till("$0.0006")  # about 4.5 s of one CPU
    found = run(job(**SLOW), vault, till, tmp_path)
    assert found.model is not None and found.best is not None
    assert "$" in found.ended and any("is left" in trial.reason or "budget" in trial.reason for trial in found.trials)
    dearest = max(charge.amount for charge in till.charges.values())
    assert found.spent == till.total and found.overspend <= dearest + dearest


def test_at_the_deadline_all_trials_stop_within_a_beat_and_a_tick(vault, tmp_path):
    clock = Leaping()
    ends = clock.now() + timedelta(hours=1)
    till = Till(then=lambda progress: clock.leap_to(ends))
    found = run(job(**SLOW), vault, till, tmp_path, deadline=ends, clock=clock)
    took = max(charge.at for charge in till.charges.values()) - ends
    assert found.ended == "the deadline was reached" and found.model is not None
    assert {trial.reason for trial in found.trials} == {"the deadline was reached"}
    assert took < timedelta(seconds=12), took


def test_after_a_killed_worker_a_trial_goes_on_from_its_checkpoint_with_the_same_trees(home, cluster, vault, tmp_path):
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        if not killed and "round 40/" in progress.message:
            killed.append(workers(home, cluster)[0])
            os.kill(killed[0], signal.SIGKILL)

    till = Till(then=kill)
    space = LONG | {"rounds": {"kind": "int", "low": 100, "high": 101, "start": 100}}
    made_up = {"resample": "smote", "ratio": 0.9, "weights": "balanced"}  # the worker that takes over makes the very same rows
    found = run(job(**SLOW | {"space": space}, imbalance=made_up, trials={"most": 1, "parallel": 1}), vault, till, tmp_path)
    (trial,) = found.trials
    assert (trial.losses, trial.state, trial.reason) == (1, State.DONE, "all 100 rounds are done")
    again = [report.round for report in trial.measured][4:]
    assert again in (list(range(40, 101, 10)), list(range(50, 101, 10))), "after report 40, whose checkpoint may be under way"
    by_round = {(report.round, report.auc) for report in trial.measured}
    assert len(by_round) == 10, "what was done twice came out the same"
    assert {key.split("/")[2] for key in till.charges} == {"0", "1"}


def test_a_paused_search_gives_its_cpus_back_and_goes_on_from_its_checkpoint_with_the_same_trees(vault, tmp_path):
    held, freed = [NONE], list[float]()

    def hold(progress: Progress) -> None:
        if not freed and "round 40/" in progress.message:
            held[0] = Orders((("t001", "no money is left"),))

    def oversee(search: Search) -> Orders:
        if search.rests and not freed and (cpus := ray.available_resources().get("CPU", 0.0)) == 2.0:
            freed.append(cpus)
            held[0] = NONE
        return held[0]

    till = Till(then=hold)
    space = LONG | {"rounds": {"kind": "int", "low": 100, "high": 101, "start": 100}}
    work = job(**SLOW | {"space": space}, trials={"most": 1, "parallel": 1}, within=Duration(300))
    found = run(work, vault, till, tmp_path, oversee=oversee)
    (trial,) = found.trials
    assert freed, "a worker was kept that held its CPU"
    assert (trial.losses, trial.state, trial.reason) == (0, State.DONE, "all 100 rounds are done")
    rounds = [report.round for report in trial.measured]
    assert rounds == sorted(rounds) and rounds[-1] == 100
    assert len({(report.round, report.auc) for report in trial.measured}) == 10
    assert found.spent == till.total


def test_a_search_whose_trials_are_all_paused_ends_at_its_deadline_with_its_best(vault, tmp_path):
    held, clock = [NONE], Leaping()
    ends = clock.now() + timedelta(hours=1)

    def hold(progress: Progress) -> None:
        if "round 20/" in progress.message:
            held[0] = Orders((("t001", "no money is left"), ("t002", "no money is left")))

    def oversee(search: Search) -> Orders:
        if search.rests:
            clock.leap_to(ends)
        return held[0]

    found = run(job(**SLOW), vault, Till(then=hold), tmp_path, deadline=ends, clock=clock, oversee=oversee)
    assert found.ended == "the deadline was reached" and found.model is not None and len(found.trials) <= 2


def test_a_parameter_xgboost_refuses_fails_each_trial_once_and_no_model_comes_out(vault, tmp_path):
    found = run(job(fixed={"gamma": -1}, trials={"most": 2}), vault, Till(), tmp_path)
    assert found.model is None and found.best is None
    assert [(trial.state, trial.losses) for trial in found.trials] == [(State.FAILED, 0)] * 2
    assert found.ended.endswith("no trial reported: t001 value -1 for Parameter min_split_loss should be greater equal to 0")


def test_ctrl_c_keeps_the_best_so_far_and_leaves_no_actor(home, cluster, vault, tmp_path):
    def interrupt(progress: Progress) -> None:
        if "round 50/" in progress.message:
            os.kill(os.getpid(), signal.SIGINT)

    till = Till(then=interrupt)
    found = run(job(**SLOW), vault, till, tmp_path)
    assert found.ended == "it was interrupted" and found.model is not None
    assert found.spent == till.total > ZERO
    deadline = time.monotonic() + 20
    while workers(home, cluster) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert workers(home, cluster) == []


def test_without_a_price_nothing_runs(vault, tmp_path):
    with pytest.raises(RefusedError, match="no node type has a known price"):
        run(job(), vault, Till(), tmp_path, prices={})


def test_nodes_without_a_price_are_never_used(vault, tmp_path):
    till = Till()
    found = run(job(within=Duration(4)), vault, till, tmp_path, prices={"other": Price.parse("$1.00/h")})
    assert found.model is None and not till.charges
    assert found.ended.startswith("the deadline was reached; no trial reported")


def test_a_feature_the_dataset_lacks_is_named_before_anything_runs(vault, tmp_path):
    with pytest.raises(SpecError, match=r"toy@\w{12} has no column wings"):
        run(job(features={"number": ("wings",)}), vault, Till(), tmp_path)


def test_a_split_the_dataset_lacks_is_named_before_anything_runs(vault, tmp_path):
    with pytest.raises(SpecError, match=r"toy@\w{12} has no split fold-0") as refused:
        run(job(splits={"validation": ("fold-0",)}), vault, Till(), tmp_path)
    assert refused.value.hint == "it has test, train, validation: name those under splits"


def workers(home: Home, cluster: Connection) -> list[int]:
    """Processes of Tune's actors on the spot node."""
    pids = [pid for node in status(home, cluster.name).nodes if node.type == "spot" for pid in node.pids]
    return [pid for pid in pids if "ImplicitFunc" in command(pid)]


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""
