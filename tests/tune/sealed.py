"""A small sealed dataset with something to learn, and jobs over it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from mlray.tune.spec import TuneJob
from mlray.units import Money
from mlray.vault.store import VaultAddress
from mlray.vault.version import DatasetVersion

ROWS = {"train": 4000, "validation": 1000, "test": 1000}


def rows(count: int, seed: int) -> pa.Table:
    """Late when far, windy or of carrier C, with noise; a tenth of the winds is missing."""
    rng = np.random.default_rng(seed)
    distance, wind, carrier = rng.uniform(100, 3000, count), rng.gamma(2, 5, count), rng.choice(list("ABC"), count)
    signal = (distance - 1500) / 1500 + (wind - 10) / 10 + (carrier == "C") + rng.normal(0, 0.7, count)
    wind[rng.random(count) < 0.1] = np.nan
    when = [datetime(2013, 1, 1 + i % 28, i % 24, tzinfo=UTC) for i in range(count)]
    return pa.table(
        {
            "distance": distance.astype(np.int64),
            "wind": pa.array(wind, from_pandas=True),
            "carrier": carrier.astype(str),
            "when": pa.array(when, pa.timestamp("us", "UTC")),
            "late": (signal > 0.7).astype(np.int64),
        }
    )


def seal(home: Path, name: str = "toy", scale: float = 1.0) -> tuple[VaultAddress, DatasetVersion]:
    address = VaultAddress(f"file://{home / 'store'}", str(home / "keyring.json"))
    vault = address.open()
    draft = vault.draft_dataset(name, hashlib.sha256(f"{name} {scale}".encode()).hexdigest())
    tables = {split: rows(int(count * scale), seed) for seed, (split, count) in enumerate(ROWS.items())}
    parts = [vault.write_part(draft, f"{split}-00000", split, table) for split, table in tables.items()]
    return address, vault.commit_dataset(draft, parts, schema=tables["train"].schema, lineage=())


def job(**changes) -> TuneJob:
    trials = {"most": 6, "parallel": 2, "cpus": 1, "market": "spot", "report_every": 10, "patience": 9} | changes.pop("trials", {})
    written = {
        "kind": "tune",
        "name": "toy-tune",
        "policy": "p.yaml",
        "budget": "$1.00",
        "dataset": "toy",
        "model": "toy",
        "label": "late",
        "features": {"number": ("distance", "wind"), "category": ("carrier",), "time": ("when",)},
        "space": {
            "rounds": {"kind": "int", "low": 10, "high": 60, "log": True, "start": 10},
            "max_depth": {"kind": "int", "low": 2, "high": 6, "start": 3},
            "eta": {"kind": "float", "low": 0.05, "high": 0.5, "log": True, "start": 0.3},
            "subsample": {"kind": "float", "low": 0.5, "high": 1.0, "start": 0.8},
        },
        "trials": trials,
    }
    return TuneJob.model_validate(written | changes)


def dollars(text: str) -> Money:
    return Money.parse(text)
