"""Loadings: number columns -> principal components; fitted with scikit-learn once, applied with numpy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlray.features.learn import learn


@dataclass(frozen=True, slots=True)
class Loadings:
    """For each of the columns `of`: the median that a missing value takes, the mean, the spread, and its part in each component."""

    of: tuple[str, ...]
    median: tuple[float, ...]
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    parts: tuple[tuple[float, ...], ...]

    @classmethod
    def fit(cls, rows: np.ndarray, of: tuple[str, ...], components: int) -> Loadings:
        """From training rows: one column for each of `of`, NaN where missing. Raises ValueError when there is too little to fit."""
        if len(rows) < components:
            raise ValueError(f"pca: {len(rows)} training rows cannot have {components} components")
        if empty := [name for name, column in zip(of, rows.T, strict=True) if np.isnan(column).all()]:
            raise ValueError(f"pca: column {empty[0]!r} has no value in the training rows")
        median = np.nanmedian(rows.astype(np.float64), axis=0)
        filled = _filled(rows, median)
        scaler = learn("sklearn.preprocessing", "pca").StandardScaler().fit(filled)
        # Exact, and the same for the same rows: the solver scikit-learn picks for many columns by itself draws at random.
        fitted = learn("sklearn.decomposition", "pca").PCA(components, svd_solver="covariance_eigh").fit(scaler.transform(filled))
        parts = tuple(map(tuple, fitted.components_.T.tolist()))
        return cls(of, tuple(median.tolist()), tuple(scaler.mean_.tolist()), tuple(scaler.scale_.tolist()), parts)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"pca.{number + 1}" for number in range(len(self.parts[0])))

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """Float32 of shape (rows, components). Column by column: a matrix product may round one row otherwise than a thousand."""
        scaled = (_filled(rows, np.array(self.median)) - np.array(self.mean)) / np.array(self.spread)
        out = np.zeros((len(rows), len(self.parts[0])))
        for column, parts in zip(scaled.T, np.array(self.parts), strict=True):
            out += column[:, np.newaxis] * parts
        return out.astype(np.float32)

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> Loadings:
        of, median, mean, spread = (tuple(held[name]) for name in ("of", "median", "mean", "spread"))
        return cls(of, median, mean, spread, tuple(map(tuple, held["parts"])))


def _filled(rows: np.ndarray, median: np.ndarray) -> np.ndarray:
    plain = rows.astype(np.float64)
    return np.where(np.isnan(plain), median, plain)
