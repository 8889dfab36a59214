"""balance: training rows whose labels are lopsided -> rows, labels and weights to train on. It never meets a validation row.

Seeded, so that a trial that lost its worker goes on with the very rows it began with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlray.features.learn import learn
from mlray.features.smote import synthesise
from mlray.features.spec import Imbalance


@dataclass(frozen=True, slots=True)
class Balanced:
    """What to train on. Given rows keep their values and their order, new ones follow; `weights` None weighs all alike."""

    rows: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None


def balance(rows: np.ndarray, labels: np.ndarray, spec: Imbalance, categories: np.ndarray, seed: int) -> Balanced:
    """`rows` are what the model sees: float32, NaN where missing; `categories` says which of its columns hold codes.

    Rows are resampled first, then weighted. A ratio that is reached already changes nothing. Raises ValueError as `check` does.
    """
    check(labels, spec, categories)
    if spec.resample and _short(labels, spec.ratio):
        rows, labels = _resampled(rows, labels, spec, categories, seed)
    return Balanced(rows, labels, _weights(labels, spec) if spec.weights else None)


def check(labels: np.ndarray, spec: Imbalance, categories: np.ndarray) -> None:
    """Raises ValueError for a label that is absent, or too rare for its neighbours; SpecError for a library that is."""
    counts = _counts(labels)
    if not counts.all():
        raise ValueError(f"no training row has label {counts.argmin()}, so nothing can be balanced")
    if spec.resample:
        learn("imblearn", f"resample: {spec.resample}")
    if spec.resample == "smote" and counts.min() <= spec.neighbours:
        raise ValueError(f"smote needs more than {spec.neighbours} rows of the rare label, and there are {counts.min()}: lower neighbours")
    if spec.resample == "smote" and categories.all():
        raise ValueError("smote makes rows between numbers, and the model sees none: write resample: over")


def _short(labels: np.ndarray, ratio: float) -> bool:
    """Whether a whole row of the rare label is wanting. imbalanced-learn takes a ratio that is reached for a mistake."""
    rare, common = sorted(_counts(labels).tolist())
    return bool(int(ratio * common) > rare)


def _resampled(rows: np.ndarray, labels: np.ndarray, spec: Imbalance, categories: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    if spec.resample == "smote":
        rare = _counts(labels).argmin()
        wanted = int(spec.ratio * _counts(labels).max()) - int(_counts(labels).min())
        new = synthesise(rows, labels == rare, wanted, spec.neighbours, categories, seed)
        return np.concatenate([rows, new]), np.concatenate([labels, np.full(wanted, rare, labels.dtype)])
    kept = _over(labels, spec.ratio, seed) if spec.resample == "over" else _under(labels, spec.ratio, seed)
    return rows[kept], labels[kept]


def _over(labels: np.ndarray, ratio: float, seed: int) -> np.ndarray:
    """All row numbers, and then those of repeated rows."""
    sampler = learn("imblearn.over_sampling", "resample: over").RandomOverSampler(sampling_strategy=ratio, random_state=seed)
    return _indices(sampler, labels)


def _under(labels: np.ndarray, ratio: float, seed: int) -> np.ndarray:
    sampler = learn("imblearn.under_sampling", "resample: under").RandomUnderSampler(sampling_strategy=ratio, random_state=seed)
    return np.sort(_indices(sampler, labels))


def _indices(sampler: object, labels: np.ndarray) -> np.ndarray:
    """These samplers look at labels alone, so they are not handed the rows to copy."""
    sampler.fit_resample(np.zeros((len(labels), 1), np.int8), labels.astype(np.int8))  # type: ignore[attr-defined]
    return np.asarray(sampler.sample_indices_)  # type: ignore[attr-defined]


def _weights(labels: np.ndarray, spec: Imbalance) -> np.ndarray:
    """Balanced weights add up to the number of rows, half of it for each label; a label without a weight of its own has 1."""
    if spec.weights == "balanced":
        each = len(labels) / (2 * _counts(labels))
    else:
        written = {int(label): weight for label, weight in dict(spec.weights or {}).items()}
        each = np.array([written.get(label, 1.0) for label in (0, 1)])
    return np.asarray(each[labels.astype(np.int8)], dtype=np.float32)


def _counts(labels: np.ndarray) -> np.ndarray:
    return np.bincount(labels.astype(np.int8), minlength=2)
