"""A small real model and the rows it knows, for every test of serving."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from mlray.features.spec import Features
from mlray.features.transform import Transform

FEATURES = Features(number=("distance", "temp"), category=("carrier",), time=("time_hour",))
START = datetime(2013, 1, 1, tzinfo=UTC)
ROW: dict[str, Any] = {"distance": 1400, "temp": 39.02, "carrier": "UA", "time_hour": "2013-01-01T05:00:00Z"}


@lru_cache
def raw(rows: int = 300) -> pa.Table:
    """Raw rows with every kind of column, one value in ten missing."""
    rng = np.random.default_rng(7)

    def holes(values: list[Any]) -> list[Any]:
        return [None if hole else value for value, hole in zip(values, rng.random(rows) < 0.1, strict=True)]

    return pa.table(
        {
            "distance": pa.array(holes(rng.integers(80, 5000, rows).tolist()), pa.int64()),
            "temp": pa.array(holes(rng.normal(55, 18, rows).tolist()), pa.float64()),
            "carrier": pa.array(holes(rng.choice(["UA", "AA", "B6", "DL"], rows).tolist()), pa.string()),
            "time_hour": pa.array(holes([START + timedelta(hours=int(h)) for h in rng.integers(0, 8760, rows)]), pa.timestamp("us", "UTC")),
        }
    )


@lru_cache
def model_files() -> dict[str, bytes]:
    """What `mlray tune` commits: a booster of 20 trees, its transform and a card."""
    import xgboost

    transform = Transform.fit(raw(), FEATURES)
    seen = transform.apply(raw())
    label = (np.nan_to_num(seen[:, 0]) > 2500).astype(float)
    data = xgboost.DMatrix(seen, label, feature_names=list(transform.names))
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 4, "nthread": 1, "seed": 7}, data, 20)
    card = {"model": "flights", "label": "late"}
    return {
        "model.json": bytes(booster.save_raw("json")),
        "transform.json": transform.to_json().encode(),
        "card.json": json.dumps(card).encode(),
    }


def json_columns(table: pa.Table) -> dict[str, list[Any]]:
    """The same rows as a caller writes them."""
    columns: dict[str, list[Any]] = table.to_pydict()
    columns["time_hour"] = [None if at is None else at.isoformat() for at in columns["time_hour"]]
    return columns


def json_rows(table: pa.Table) -> list[dict[str, Any]]:
    columns = json_columns(table)
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
