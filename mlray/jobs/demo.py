"""The main job on real data: a cluster, ingest, search, deployment and a request, and what each of them cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mlray.client import Client, curl
from mlray.clock import SystemClock
from mlray.errors import SpecError, WorkError
from mlray.home import Home
from mlray.ingest.report import Ingested
from mlray.jobs import run
from mlray.jobs.endpoints import own_token
from mlray.jobs.read import written
from mlray.launch.on_ray import Connection, connect, up
from mlray.ledger.receipt import Receipt, receipt
from mlray.ledger.store import LedgerStore
from mlray.policy.spec import Policy
from mlray.progress import OnProgress, silent
from mlray.serve.deployed import Deployed
from mlray.tune.searched import Searched
from mlray.tune.spec import TuneJob
from mlray.units import Money
from mlray.vault.store import Vault, VaultAddress

CLUSTER, JOBS = "cluster/local.yaml", "jobs/flights"
INGEST, TUNE, SERVE = (f"{JOBS}/{stage}.yaml" for stage in ("ingest", "tune", "serve"))


@dataclass(frozen=True, slots=True)
class Asked:
    """One real request: the command that sends a row of the test period, the answer, and what really happened."""

    curl: str
    prediction: float
    late: bool


@dataclass(frozen=True, slots=True)
class Demo:
    """What the main job did. Metrics are areas under the ROC curve; `receipt` is the bill of this run by stage."""

    ingested: Ingested
    encrypted: bool
    searched: Searched
    search_budget: Money
    budget: Money
    deployed: Deployed
    asked: Asked
    receipt: Receipt
    seconds: float

    def facts(self) -> dict[str, Any]:
        """The main numbers by name, for programs."""
        return {
            "rows_read": self.ingested.rows_read,
            "rows_rejected": sum(count for _, count in self.ingested.rejected),
            "rejected": dict(self.ingested.rejected),
            "version": self.ingested.version.digest,
            "encrypted": self.encrypted,
            "trials": len(self.searched.trials),
            "spent_usd": self.receipt.total.usd,
            "budget_usd": self.budget.usd,
            "auc_validation": self.searched.metric_validation,
            "auc_test": self.searched.metric_test,
            "model": str(self.searched.model),
            "endpoint": self.deployed.endpoint,
            "prediction": self.asked.prediction,
            "late": self.asked.late,
            "receipt": [{"stage": row.group[0], "seconds": row.seconds, "usd": row.amount.usd} for row in self.receipt.rows],
            "seconds": self.seconds,
        }


@contextmanager
def demo(folder: Path, home: Home, on_progress: OnProgress = silent) -> Iterator[Demo]:
    """Runs the example of `folder`, yields while its endpoint answers, and takes the cluster down afterwards.

    Raises SpecError when `folder` does not hold the example, RefusedError when today's budget is spent.
    """
    if not (folder / CLUSTER).is_file():
        raise SpecError(f"{folder} does not hold {CLUSTER}", hint="run the demo in a clone of mlray, or name its folder")
    began = SystemClock().now()
    name = up(home, folder / CLUSTER, on_progress).status.name
    try:
        with connect(home, name) as cluster:
            done = _demo(folder, home, cluster, began, on_progress)
        yield done
    finally:
        run.down(home, name, on_progress)


def _demo(folder: Path, home: Home, cluster: Connection, began: datetime, on_progress: OnProgress) -> Demo:
    ingested = run.ingest(folder / INGEST, home=home, cluster=cluster, on_progress=on_progress)
    searched = run.tune(folder / TUNE, home=home, cluster=cluster, on_progress=on_progress)
    if searched.interrupted:
        raise KeyboardInterrupt
    if searched.model is None:
        raise WorkError(f"the search ended without a model: {searched.ended}")
    deployed = run.deploy(folder / SERVE, home=home, cluster=cluster, on_progress=on_progress)
    tuning, policy = _tuning(folder)
    vault = VaultAddress(home.store, str(home.keyring)).open()
    asked = _ask(vault, ingested, tuning, deployed, home)
    run.settle()
    entries = LedgerStore(home.database).entries(policy=policy.name, since=began)
    return Demo(
        ingested=ingested,
        encrypted=vault.is_sealed(ingested.version),
        searched=searched,
        search_budget=tuning.budget or policy.budget.amount,
        budget=policy.budget.amount,
        deployed=deployed,
        asked=asked,
        receipt=receipt(entries, ("stage",)),
        seconds=(SystemClock().now() - began).total_seconds(),
    )


def _tuning(folder: Path) -> tuple[TuneJob, Policy]:
    (step,) = written(folder / TUNE)
    assert isinstance(step.job, TuneJob)
    return step.job, step.policy


def _ask(vault: Vault, ingested: Ingested, tuning: TuneJob, deployed: Deployed, home: Home) -> Asked:
    """The first flight of the test period, sent as any caller would send it. The row is shown and not kept: it is data."""
    columns = [*tuning.features.columns, tuning.label]
    part = ingested.version.manifest.of("test")[0]
    row = vault.read_part(ingested.version, part, columns).slice(0, 1).to_pylist()[0]
    late = bool(row.pop(tuning.label))
    plain = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
    with Client(deployed.endpoint, own_token(home, SystemClock())) as client:
        (prediction,) = client.predict([plain])
    return Asked(curl(deployed.endpoint, plain), prediction, late)
