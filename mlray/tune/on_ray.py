"""tune: a search on the cluster that Ray is connected to, from a sealed dataset to a committed model."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import ray
from ray import tune as ray_tune

from mlray.clock import Clock, SystemClock
from mlray.errors import RefusedError, SpecError, WorkError
from mlray.features.imbalance import check
from mlray.features.transform import Transform
from mlray.ledger.entry import Cause, Charge
from mlray.market.spec import MARKET_LABEL, NODE_TYPE_LABEL
from mlray.progress import OnProgress, silent
from mlray.tune.desk import Desk, Oversee, ungoverned
from mlray.tune.fit import labels_of
from mlray.tune.hooks import Judge, Losses, Proposer, Watch
from mlray.tune.model import assess
from mlray.tune.resume import best_kept, context
from mlray.tune.search import Search
from mlray.tune.searched import Searched as Searched
from mlray.tune.spec import TuneJob
from mlray.tune.trial import Place
from mlray.tune.worker import Work, rows_of, search_context, work
from mlray.units import Money, Price
from mlray.vault.keyring import DataKey
from mlray.vault.sealing import open_bytes
from mlray.vault.store import Vault, VaultAddress
from mlray.vault.version import DatasetVersion


def tune(
    job: TuneJob,
    vault: VaultAddress,
    price_of: Mapping[str, Price],
    limit: Money,
    deadline: datetime | None,
    charge: Callable[[Charge], Money],
    cause: Cause,
    storage: Path,
    on_progress: OnProgress = silent,
    clock: Clock | None = None,
    oversee: Oversee = ungoverned,
    listed: Mapping[str, Price] | None = None,
) -> Searched:
    """Searches until the money, the time or the trials end, and commits the best model.

    `charge` books a charge and answers what is left for this job; `storage` is a folder that every node reaches. Raises
    RefusedError without a price to charge by, SpecError when the dataset lacks a column. Ctrl-C keeps the best so far.
    `listed` are the prices of the same on demand, by which savings are told.
    `oversee` is shown the newest Search ten times a second and answers with its governor's orders; it must not wait.
    """
    if not price_of:
        raise RefusedError("no node type has a known price", hint="add metadata.mlray.prices to the cluster file")
    clock = clock or SystemClock()
    cause = cause if cause.run else replace(cause, run=f"{job.name}-{secrets.token_hex(4)}")
    opened = vault.open()
    dataset = opened.find_dataset(job.dataset, job.version)
    transform = _transform(job, opened, dataset)
    key, wrapped = opened.keyring.new_key(search_context(cause.run))
    params = (*job.fixed.items(), ("seed", job.seed), ("nthread", job.trials.cpus))
    assigned = Work(
        cause.run,
        vault,
        dataset.name,
        dataset.digest,
        job.splits,
        job.label,
        transform.to_json(),
        job.imbalance,
        job.seed,
        wrapped,
        params,
        job.trials.report_every,
        job.trials.cpus,
    )
    search = Search(job, cause, limit, limit, _until(job, deadline, clock.now()))
    desk = Desk(search, charge, Places(job.trials.cpus, price_of, listed or {}), clock.now, on_progress, oversee)
    try:
        _run(job, assigned, desk, tuple(price_of), storage)
        return _finished(desk.search, storage / cause.run, key, opened, dataset, transform)
    finally:
        shutil.rmtree(storage / cause.run, ignore_errors=True)


def _run(job: TuneJob, assigned: Work, desk: Desk, priced: tuple[str, ...], storage: Path) -> None:
    """Tune's own results are not used. When it returns or raises, nothing runs any more and every second until then is booked."""
    _quieten()

    def trial(config: dict[str, Any]) -> None:
        work(assigned, config)

    tuner = ray_tune.Tuner(
        ray_tune.with_resources(trial, _where(job, priced)),
        tune_config=ray_tune.TuneConfig(
            search_alg=Proposer(desk),
            scheduler=Judge(desk),
            num_samples=-1,  # until the proposer ends it
            max_concurrent_trials=job.trials.parallel,
            reuse_actors=True,  # a fresh actor costs 1-2 CPU seconds, more than most trials
            trial_dirname_creator=lambda trial: str(trial.config["trial"]),
        ),
        run_config=ray_tune.RunConfig(
            name=assigned.run,
            storage_path=str(storage),
            stop=Watch(desk),
            callbacks=[Losses(desk)],
            failure_config=ray_tune.FailureConfig(max_failures=job.trials.losses),
            checkpoint_config=ray_tune.CheckpointConfig(num_to_keep=1),
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    except ray_tune.TuneError as error:
        raise WorkError(f"{job.name}: Ray Tune ended with {str(error).strip().splitlines()[-1]}") from error
    finally:
        desk.close()
    if desk.trouble:
        raise desk.trouble


def _where(job: TuneJob, priced: tuple[str, ...]) -> Any:
    """Only nodes whose price is known: on any other no second could be charged."""
    market = "in(spot,on-demand)" if job.trials.market == "any" else job.trials.market
    selector = {MARKET_LABEL: market, NODE_TYPE_LABEL: f"in({','.join(priced)})"}
    return ray_tune.PlacementGroupFactory([{"CPU": job.trials.cpus}], bundle_label_selector=[selector])


class Places:
    """The place a trial takes on a node, by the node's id; remembered, because a node that is gone was paid as well."""

    def __init__(self, cpus: int, price_of: Mapping[str, Price], listed: Mapping[str, Price]) -> None:
        self._cpus, self._price_of, self._listed, self._known = cpus, price_of, listed, dict[str, Place]()

    def __call__(self, node: str) -> Place:
        if node not in self._known:
            self._known[node] = self._place(next((held for held in ray.nodes() if held["NodeID"] == node), {}))
        return self._known[node]

    def _place(self, node: Mapping[str, Any]) -> Place:
        """Raises RefusedError for a node without a price or a size: nothing runs that cannot be charged."""
        labels, cpus = node.get("Labels", {}), node.get("Resources", {}).get("CPU", 0.0)
        kind = labels.get(NODE_TYPE_LABEL, "")
        if kind not in self._price_of or not cpus:
            raise RefusedError(f"node type {kind!r} has no known price", hint="add it to metadata.mlray.prices of the cluster file")
        return Place(
            kind, labels.get(MARKET_LABEL, ""), min(1.0, self._cpus / cpus), self._price_of[kind], on_demand=self._listed.get(kind)
        )


def _transform(job: TuneJob, vault: Vault, dataset: DatasetVersion) -> Transform:
    """Fitted on what is trained on; what every trial would meet is told before the first begins."""
    there = [name for name, _ in dataset.manifest.schema]
    if missing := [name for name in (*job.features.columns, job.label) if name not in there]:
        raise SpecError(f"{job.name}: {dataset} has no column {', '.join(missing)}", hint=f"it has {', '.join(there)}")
    if absent := [name for name in job.splits.all if name not in dataset.manifest.splits]:
        hint = f"it has {', '.join(dataset.manifest.splits)}: name those under splits"
        raise SpecError(f"{job.name}: {dataset} has no split {', '.join(absent)}", hint=hint)
    try:
        rows = rows_of(vault, dataset, job.splits.train, [*job.features.columns, job.label])
        labels = labels_of(rows, job.label)
        transform = Transform.fit(rows, job.features, labels, job.seed)
        if job.imbalance:
            check(labels, job.imbalance, transform.categories)
        return transform
    except ValueError as wrong:
        raise SpecError(f"{job.name}: {wrong}") from wrong


def _until(job: TuneJob, deadline: datetime | None, now: datetime) -> datetime | None:
    ends = [now + timedelta(seconds=job.within.seconds)] if job.within else []
    return min([*ends, *([deadline] if deadline else [])], default=None)


def _finished(search: Search, folder: Path, key: DataKey, vault: Vault, dataset: DatasetVersion, transform: Transform) -> Searched:
    """Commits the best of what is in the folder. It is read directly: Tune forgets a checkpoint it was stopped at."""
    files = {trial.id: {file.name: file for file in folder.glob(f"{trial.id}/checkpoint_*/*")} for trial in search.trials}
    kept, nothing = best_kept(files, search.trials), float("nan")
    if kept is None:
        why = next((f": {trial.id} {trial.reason}" for trial in search.trials if trial.reason), "")
        ended = f"{search.ended}; no trial reported{why}"
        return Searched(None, search.trials, search.spent, search.overspend, None, nothing, nothing, ended)
    sealed = files[kept.trial.id][kept.there.file].read_bytes()
    booster = open_bytes(key, sealed, context(search.cause.run, kept.trial.id, kept.there.round))
    columns = [*(column.name for column in transform.inputs), search.job.label]
    parts = {"validation": search.job.splits.validation, "test": search.job.splits.test}
    rows = {part: rows_of(vault, dataset, splits, columns) for part, splits in parts.items()}
    assessed = assess(search, kept.trial, kept.report, booster, transform, dataset, rows)
    model = vault.commit_model(search.job.model, assessed.files, assessed.card, ((f"dataset:{dataset.name}", dataset.digest),))
    values = assessed.metric("auc_validation"), assessed.metric("auc_test")
    return Searched(model, search.trials, search.spent, search.overspend, kept.trial, *values, search.ended)


def _quieten() -> None:
    """Tune's own output off: what it would tell is told as Progress, and its loggers cost more than a small trial."""
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_PRINT_ALL_TRIAL_ERRORS", "0")
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
