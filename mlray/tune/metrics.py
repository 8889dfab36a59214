"""What a model is worth on rows it never saw, and from which score on it says yes."""

from __future__ import annotations

import numpy as np


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """The chance that a positive row scores above a negative one, ties counting half; NaN when one kind is absent."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive = labels > 0.5
    yes, no = int(positive.sum()), int((~positive).sum())
    if not yes or not no:
        return float("nan")
    return float((ranks[positive].sum() - yes * (yes + 1) / 2) / (yes * no))


def logloss(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean negative log-likelihood in nats; scores are kept 1e-15 away from 0 and 1."""
    sure = np.clip(scores.astype(np.float64), 1e-15, 1 - 1e-15)
    return float(-np.mean(np.where(labels > 0.5, np.log(sure), np.log1p(-sure))))


def threshold(labels: np.ndarray, scores: np.ndarray) -> float:
    """The score from which "yes" gives the highest F1 on these rows; 0.5 when there is no positive row."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order] > 0.5)
    if not len(hits) or not hits[-1]:
        return 0.5
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + hits[-1])
    last_of_equals = np.append(np.diff(scores[order]) != 0, True)
    return float(scores[order][np.argmax(np.where(last_of_equals, f1, 0.0))])
