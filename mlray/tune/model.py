"""assess: the best trial's trees -> the files of a model, measured once on rows that no part of the search has seen."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from mlray.features.transform import Transform
from mlray.tune.fit import keep, matrix
from mlray.tune.metrics import auc, logloss, threshold
from mlray.tune.search import Search
from mlray.tune.trial import Report, Trial
from mlray.vault.version import DatasetVersion, Json


@dataclass(frozen=True, slots=True)
class Assessed:
    """A model's files by name, and its card, which is one of them."""

    files: dict[str, bytes]
    card: dict[str, Json]

    def metric(self, name: str) -> float:
        metrics = self.card["metrics"]
        value = metrics.get(name) if isinstance(metrics, dict) else None
        return float(value) if isinstance(value, int | float) else float("nan")


def assess(
    search: Search, trial: Trial, report: Report, booster: bytes, transform: Transform, dataset: DatasetVersion, rows: dict[str, pa.Table]
) -> Assessed:
    """`rows` holds the validation and the test split. The threshold is chosen on validation, so test stays untouched."""
    model, label, threads = keep(booster, report.round), search.job.label, search.job.trials.cpus
    scored = {}
    for split, table in rows.items():
        read = matrix(transform, table, label, threads)
        scored[split] = (np.asarray(read.get_label()), np.asarray(model.predict(read)))
    metrics: dict[str, Json] = {}
    for split, (labels, scores) in scored.items():
        metrics |= {
            f"auc_{split}": _number(auc(labels, scores)),
            f"logloss_{split}": _number(logloss(labels, scores)),
            f"rows_{split}": len(labels),
        }
    card: dict[str, Json] = {
        "metrics": metrics,
        "threshold": threshold(*scored["validation"]),
        "params": {**search.job.fixed, **trial.params, "rounds": report.round},
        "dataset": str(dataset),
        "dataset_digest": dataset.digest,
        "label": label,
        "features": list(transform.names),
        "imbalance": search.job.imbalance.model_dump(mode="json") if search.job.imbalance else None,
        "splits": search.job.splits.model_dump(mode="json"),
        "job": search.job.name,
        "run": search.cause.run,
        "trial": trial.id,
        "trials": len(search.trials),
        "dollars": search.spent.usd,
    }
    trees = bytes(model.save_raw("json"))
    files = {"model.json": trees, "transform.json": transform.to_json().encode(), "card.json": json.dumps(card, sort_keys=True).encode()}
    return Assessed(files, card)


def _number(value: float) -> float | None:
    """JSON has no NaN: what cannot be measured, such as the AUC of one kind of row, is null."""
    return None if np.isnan(value) else value
