"""synthesise: rows of a rare label -> more rows like them, by SMOTE (Chawla et al., 2002), through imbalanced-learn.

A new row lies at random between a row and one of its nearest; its categories are those most of the nearest have (SMOTE-NC).
What the library leaves open is settled here:

- distances depend on units, so numbers are scaled to mean 0 and variance 1 over all training rows first;
- distances need values, so a missing number stands at its column's median, and a missing category is one of its own. Were new
  rows never missing a number, a model would learn that missing means common: each takes the gaps of a rare row drawn at random;
- its memory grows with new rows x neighbours x categories, and would be 1.4 GB for 260,000 flights, so rows are made in lots.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlray.features.learn import learn

MISSING = -1.0
MOST_CELLS = 1 << 25  # of the library's neighbour array: 256 MB


def synthesise(rows: np.ndarray, rare: np.ndarray, count: int, neighbours: int, categories: np.ndarray, seed: int) -> np.ndarray:
    """`count` new float32 rows. `rare` says which rows to make them from, `categories` which columns hold codes."""
    middle, spread = _scale(rows, categories)
    given = rows[rare]
    plain = np.where(np.isnan(given), np.where(categories, MISSING, middle), given)
    scaled = (plain - middle * ~categories) / spread
    lots = _lots(scaled, count, neighbours, categories)
    made = np.concatenate([_made(scaled, size, neighbours, categories, seed + number) for number, size in enumerate(lots)])
    made = made * spread + middle * ~categories
    drawn = np.random.Generator(np.random.PCG64(seed)).integers(len(given), size=count)
    gaps = np.where(categories, made == MISSING, np.isnan(given)[drawn])
    return np.where(gaps, np.nan, made).astype(np.float32)


def _scale(rows: np.ndarray, categories: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The median and the standard deviation of each number over all rows; 0 and 1 where there is nothing to scale."""
    middle, spread = np.zeros(rows.shape[1]), np.ones(rows.shape[1])
    for column in np.flatnonzero(~categories):
        there = rows[~np.isnan(rows[:, column]), column].astype(np.float64)
        if len(there):
            middle[column], spread[column] = np.median(there), there.std() or 1.0
    return middle, spread


def _lots(rows: np.ndarray, count: int, neighbours: int, categories: np.ndarray) -> list[int]:
    width = sum(len(np.unique(rows[:, column])) if coded else 1 for column, coded in enumerate(categories))
    most = max(1, MOST_CELLS // (neighbours * width))
    return [min(most, count - start) for start in range(0, count, most)]


def _made(rows: np.ndarray, count: int, neighbours: int, categories: np.ndarray, seed: int) -> np.ndarray:
    """The library wants a second label to be there; one row stands for it, and takes no part."""
    sampler = _sampler({1: len(rows) + count}, neighbours, categories, seed)
    labels = np.append(np.ones(len(rows), np.int8), np.int8(0))
    made, _ = sampler.fit_resample(np.concatenate([rows, rows[:1]]), labels)
    return np.asarray(made[len(rows) + 1 :], dtype=np.float64)


def _sampler(wanted: dict[int, int], neighbours: int, categories: np.ndarray, seed: int) -> Any:
    kinds = learn("imblearn.over_sampling", "resample: smote")
    settings = {"sampling_strategy": wanted, "k_neighbors": neighbours, "random_state": seed}
    if not categories.any():
        return kinds.SMOTE(**settings)
    return kinds.SMOTENC(categorical_features=np.flatnonzero(categories).tolist(), **settings)
