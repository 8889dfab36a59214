"""The trainable: what one worker does for one trial. It reads sealed rows, trains, and reports; it chooses nothing."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
from ray import tune
from xgboost import DMatrix
from xgboost.core import XGBoostError

from mlray.errors import MlrayError
from mlray.features.spec import Imbalance
from mlray.features.transform import Transform
from mlray.tune import resume
from mlray.tune.fit import Data, Fitted, balanced, fit, matrix
from mlray.tune.spec import Splits
from mlray.vault.keyring import DataKey, WrappedKey
from mlray.vault.sealing import open_bytes, seal_bytes
from mlray.vault.store import Vault, VaultAddress
from mlray.vault.version import DatasetVersion

BEAT_S = 1.0  # a training that reports no result this long reports its seconds, so that spending is never older than this
TRAINING_NICE = 10  # a replica on the same cores answers first


@dataclass(frozen=True, slots=True)
class Work:
    """All a worker needs to know. Holds no secret: the key of the search's checkpoints is wrapped."""

    run: str
    vault: VaultAddress
    dataset: str
    digest: str
    splits: Splits
    label: str
    transform: str
    imbalance: Imbalance | None
    seed: int
    key: WrappedKey
    params: tuple[tuple[str, str | int | float], ...]
    every: int
    threads: int


def work(assigned: Work, config: Mapping[str, Any]) -> None:
    """Trains the trial in `config`, from its last checkpoint if it has one. What training raises is reported, not raised:
    Tune would take it for a lost worker and do it again."""
    logging.getLogger("ray.train").setLevel(logging.WARNING)  # it tells of every checkpoint
    os.setpriority(os.PRIO_PROCESS, 0, TRAINING_NICE)
    meter = Meter()
    tune.report(
        {
            "event": "began",
            "node": ray.get_runtime_context().get_node_id(),
            "machine": os.environ.get("MLRAY_NODE_NAME", ""),
            "seconds": 0.0,
        }
    )
    try:
        _train(assigned, str(config["trial"]), dict(config["params"]), meter)
    except (MlrayError, XGBoostError, ValueError, MemoryError) as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        tune.report({"event": "failed", "why": why, "seconds": meter.seconds()})


class Meter:
    """Seconds since it was last read: every second of a trial falls between two readings."""

    def __init__(self) -> None:
        self.read = time.monotonic()

    @property
    def waited(self) -> float:
        return time.monotonic() - self.read

    def seconds(self) -> float:
        before, self.read = self.read, time.monotonic()
        return self.read - before


def _train(assigned: Work, trial: str, params: dict[str, Any], meter: Meter) -> None:
    key = assigned.vault.open().keyring.unwrap(assigned.key, search_context(assigned.run))
    start = _checkpoint(key, assigned.run, trial)
    data = _data(assigned)
    for fitted in fit(data, {**dict(assigned.params), **params}, assigned.every, start):
        if fitted.booster:
            _report(key, assigned.run, trial, fitted, meter)
        elif meter.waited >= BEAT_S:
            tune.report({"event": "beat", "round": fitted.round, "seconds": meter.seconds()})


def _report(key: DataKey, run: str, trial: str, fitted: Fitted, meter: Meter) -> None:
    sealed = seal_bytes(key, fitted.booster, resume.context(run, trial, fitted.round))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / resume.checkpoint_name(fitted.round)).write_bytes(sealed)
        said = {"event": "report", "round": fitted.round, "auc": fitted.auc, "seconds": meter.seconds()}
        tune.report(said, checkpoint=tune.Checkpoint.from_directory(folder))


def _checkpoint(key: DataKey, run: str, trial: str) -> bytes:
    """The booster to go on from. Raises TamperError when the file is not what was sealed for this trial."""
    held = tune.get_checkpoint()
    if held is None:
        return b""
    with held.as_directory() as folder:
        found = resume.resume(file.name for file in Path(folder).iterdir())
        if not found.file:
            return b""
        return open_bytes(key, (Path(folder) / found.file).read_bytes(), resume.context(run, trial, found.round))


def search_context(run: str) -> str:
    return f"search/{run}"


def _data(assigned: Work) -> Data:
    """The same rows for every trial of a search, whatever its parameters, and after a loss."""
    held = Held(assigned.vault, assigned.dataset, assigned.digest, assigned.splits, assigned.label, assigned.transform, assigned.threads)
    return _binned(held, assigned.imbalance.model_dump_json(exclude_unset=True) if assigned.imbalance else "", assigned.seed)


@dataclass(frozen=True, slots=True)
class Held:
    """Which rows, and as what."""

    vault: VaultAddress
    dataset: str
    digest: str
    splits: Splits
    label: str
    transform: str
    threads: int


@lru_cache(maxsize=1)
def _binned(held: Held, imbalance: str, seed: int) -> Data:
    """Opened, made up for a rare label, and binned once in a worker's life; the next trial on the same worker starts at once."""
    opened, applied = held.vault.open(), Transform.from_json(held.transform)
    version = opened.find_dataset(held.dataset, held.digest)
    columns = [*(column.name for column in applied.inputs), held.label]
    train, validation = (rows_of(opened, version, splits, columns) for splits in (held.splits.train, held.splits.validation))
    return Data(_training(applied, train, held, imbalance, seed), matrix(applied, validation, held.label, held.threads))


def _training(applied: Transform, rows: pa.Table, held: Held, imbalance: str, seed: int) -> DMatrix:
    if not imbalance:
        return matrix(applied, rows, held.label, held.threads)
    return balanced(applied, rows, held.label, held.threads, Imbalance.model_validate_json(imbalance), seed)


def rows_of(vault: Vault, version: DatasetVersion, splits: Sequence[str], columns: Sequence[str]) -> pa.Table:
    """The rows of several splits, one after the other."""
    return pa.concat_tables([vault.read(version, split, columns) for split in splits])
