"""A home with a few sealed versions, as commands find it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa

from mlray.home import Home
from mlray.ingest import account, stats
from mlray.ingest.rules import OnWhole
from mlray.ingest.verdict import Finding, Verdict
from mlray.vault.store import Vault, VaultAddress
from mlray.vault.version import DatasetVersion, Json, Lineage, ModelVersion

TABLE = pa.table({"distance": [1.0, 2.0, 3.0]})
MADE_FROM: Lineage = (("code", "00" * 32), ("source:flights.csv", "ab" * 32))


def opened(home: Home) -> Vault:
    vault = VaultAddress(home.store, str(home.keyring)).open()
    vault.make_keyring()
    return vault


def flights(home: Home, about: dict[str, Json] | None = None) -> DatasetVersion:
    """flights@3f...: three rows of train, two of test, four rejected."""
    vault = opened(home)
    draft = vault.draft_dataset("flights", "3f" * 32)
    parts = [vault.write_part(draft, "part-0", "train", TABLE), vault.write_part(draft, "part-1", "test", TABLE.slice(1))]
    return vault.commit_dataset(draft, parts, schema=TABLE.schema, lineage=MADE_FROM, rejected={"no-arrival": 4}, about=about)


def more_flights(home: Home, before: DatasetVersion, tags: Sequence[str] = ()) -> DatasetVersion:
    """flights@b2...: the train part of the version before, and a test part with a column more."""
    vault, wider = opened(home), TABLE.append_column("wind", pa.array([1.0, None, 3.0]))
    draft = vault.draft_dataset("flights", "b2" * 32)
    shared = next(part for part in before.manifest.parts if part.split == "train")
    parts = [vault.share_part(draft, shared, before), vault.write_part(draft, "part-1", "test", wider)]
    lineage = (MADE_FROM[0], ("source:flights.csv", "cd" * 32))
    return vault.commit_dataset(draft, parts, schema=wider.schema, lineage=lineage, rejected={"no-arrival": 6}, tags=tags)


def reported(home: Home, digest: str, distances: Sequence[float | None], day: int) -> DatasetVersion:
    """weather@...: a number, a moment and a column that is protected, with the account that an ingest keeps."""
    vault = opened(home)
    when = [datetime(2026, 6, day, hour, tzinfo=UTC) for hour in range(len(distances))]
    columns = {"wind": pa.array(distances, pa.float64()), "when": pa.array(when, pa.timestamp("us", "UTC"))}
    rows = pa.table(columns | {"mail": pa.array(["x"] * len(when))})
    told = {"train": {"rows": len(when), "columns": {name: stats.column(rows[name], name == "mail") for name in rows.column_names}}}
    found = Verdict((Finding("row_count", False, OnWhole.WARN, "row_count : 3 rows, at least 9 are wanted"),))
    draft = vault.draft_dataset("weather", digest * 32)
    parts = [vault.write_part(draft, "train-0", "train", rows), vault.write_part(draft, "report-0", "report", account.table(told, found))]
    return vault.commit_dataset(draft, parts, schema=rows.schema, lineage=MADE_FROM)


def model(home: Home, of: DatasetVersion) -> ModelVersion:
    lineage = ((f"dataset:{of.name}", of.digest),)
    return opened(home).commit_model("late", {"card.json": b"{}"}, {"metrics": {"auc_test": 0.7}}, lineage)
