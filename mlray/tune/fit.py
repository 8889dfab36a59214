"""fit: one XGBoost training as a chain of segments, so that one resumed from a checkpoint grows the very same trees.

Measured on XGBoost 3.2: with row or column sampling, going on in the same booster and loading its bytes give different
trees, because the samplers' random states are not stored, and `seed_per_iteration` does not help. Therefore every
segment, also in an undisturbed run, starts from the bytes of the one before and a seed made from the round. The price is
one prediction of the training rows for each segment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mlray.features.booster import load_xgboost
from mlray.features.imbalance import balance
from mlray.features.spec import Imbalance
from mlray.features.transform import Transform

if TYPE_CHECKING:
    import xgboost as xgb
else:
    xgb = load_xgboost()

ALWAYS: dict[str, str | int] = {"objective": "binary:logistic", "eval_metric": "auc", "tree_method": "hist", "verbosity": 0}


@dataclass(frozen=True, slots=True)
class Fitted:
    """The booster after `round` rounds. Only the last round of a segment carries `auc` and the booster's bytes."""

    round: int
    auc: float | None = None
    booster: bytes = b""


@dataclass(frozen=True, slots=True)
class Data:
    """Training and validation rows, binned once and shared by all trials of a process."""

    train: xgb.DMatrix
    validation: xgb.DMatrix


def fit(data: Data, params: Mapping[str, str | int | float], every: int, booster: bytes = b"") -> Iterator[Fitted]:
    """Boosts up to `params["rounds"]`, from the booster's bytes if there are any. Yields after each round.

    `params` holds `nthread` and `seed` too. A segment ends at every multiple of `every` and at the last round.
    """
    learner, at = {**ALWAYS, **params}, 0
    rounds = int(learner.pop("rounds"))
    if booster:
        at = xgb.Booster(model_file=bytearray(booster)).num_boosted_rounds()
    while at < rounds:
        end = min(rounds, at - at % every + every)
        for fitted in _segment(data, learner, booster, at, end):
            booster = fitted.booster
            yield fitted
        at = end


def _segment(data: Data, learner: dict[str, str | int | float], start: bytes, at: int, end: int) -> Iterator[Fitted]:
    booster = xgb.Booster(learner, [data.train, data.validation])
    if start:
        booster.load_model(bytearray(start))
    booster.set_param({**learner, "seed": int(learner["seed"]) + at})
    for done in range(at + 1, end):
        booster.update(data.train, done - 1)
        yield Fitted(done)
    booster.update(data.train, end - 1)
    yield Fitted(end, _auc(booster, data.validation), bytes(booster.save_raw("ubj")))


def matrix(transform: Transform, rows: pa.Table, label: str, threads: int) -> xgb.DMatrix:
    """Rows as XGBoost reads them. Raises ValueError unless every label is 0 or 1."""
    return xgb.DMatrix(transform.apply(rows), labels_of(rows, label), nthread=threads)


def balanced(transform: Transform, rows: pa.Table, label: str, threads: int, imbalance: Imbalance, seed: int) -> xgb.DMatrix:
    """Training rows as XGBoost reads them, made up for a rare label. Raises ValueError when they cannot be."""
    made = balance(transform.apply(rows), labels_of(rows, label), imbalance, transform.categories, seed)
    return xgb.DMatrix(made.rows, made.labels, weight=made.weights, nthread=threads)


def labels_of(rows: pa.Table, label: str) -> np.ndarray:
    """Raises ValueError unless every label is 0 or 1."""
    labels = np.asarray(rows[label].cast(pa.float32()).to_numpy())
    if not np.isin(labels, (0.0, 1.0)).all():
        raise ValueError(f"label {label!r} must be 0 or 1 in every row")
    return labels


def keep(booster: bytes, rounds: int) -> xgb.Booster:
    """The first `rounds` trees of a booster."""
    return xgb.Booster(model_file=bytearray(booster))[:rounds]


def _auc(booster: xgb.Booster, rows: xgb.DMatrix) -> float:
    return float(booster.eval(rows, "validation").rpartition(":")[2])
