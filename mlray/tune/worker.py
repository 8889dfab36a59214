"""The trainable: what one worker does for one trial. It reads sealed rows, trains, and reports; it chooses nothing."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import ray
from ray import tune
from xgboost.core import XGBoostError

from mlray.errors import MlrayError
from mlray.features.transform import Transform
from mlray.tune import resume
from mlray.tune.fit import Data, Fitted, fit, matrix
from mlray.vault.keyring import DataKey, WrappedKey
from mlray.vault.sealing import open_bytes, seal_bytes
from mlray.vault.store import VaultAddress

BEAT_S = 1.0  # a training that reports no result this long reports its seconds, so that spending is never older than this
TRAINING_NICE = 10  # a replica on the same cores answers first


@dataclass(frozen=True, slots=True)
class Work:
    """All a worker needs to know. Holds no secret: the key of the search's checkpoints is wrapped."""

    run: str
    vault: VaultAddress
    dataset: str
    digest: str
    label: str
    transform: str
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
    tune.report({"event": "began", "node": ray.get_runtime_context().get_node_id(), "seconds": 0.0})
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
    return _binned(assigned.vault, assigned.dataset, assigned.digest, assigned.label, assigned.transform, assigned.threads)


@lru_cache(maxsize=1)
def _binned(vault: VaultAddress, dataset: str, digest: str, label: str, transform: str, threads: int) -> Data:
    """Opened and binned once in a worker's life; the next trial on the same worker starts at once."""
    opened, applied = vault.open(), Transform.from_json(transform)
    version = opened.find_dataset(dataset, digest)
    columns = [*(column.name for column in applied.inputs), label]
    train, validation = (matrix(applied, opened.read(version, split, columns), label, threads) for split in ("train", "validation"))
    return Data(train, validation)
