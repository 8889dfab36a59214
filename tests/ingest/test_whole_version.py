"""A dataset about people, from a file through Ray to what each reader may see of it, and what its report says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlray.errors import SpecError, WorkError
from mlray.files import parse, validate
from mlray.ingest import account
from mlray.ingest.on_ray import ingest
from mlray.ingest.page import page
from mlray.ingest.report import Ingested
from mlray.ingest.spec import IngestJob
from mlray.ingest.summary import summary
from mlray.vault.store import Vault, VaultAddress
from tests.clusters import Shared

pytestmark = pytest.mark.ray

JOB = """
kind: ingest
name: visits-ingest
policy: policy.yaml
dataset: visits
sources:
  visits:
    format: csv
    uri: visits.csv
    columns: {id: int, patient: text, full_name: text, ward: text, weight: float, arrived: timestamp, days: int}
main: visits
checks:
  - {rule: not_null, column: weight, reason: not weighed}
  - {rule: unique, columns: [id]}
  - {rule: drift, column: weight, most: 0.2}
  - {rule: null_share, column: ward, most: 1%, on_fail: warn}
label: {name: long, column: days, above: 5}
outcome: [days]
classes: {full_name: personal}
protect: {patient: pseudonymise, arrived: {how: generalise, to: day}, ward: {how: mask, keep: 1}}
subject: patient
split: {by: group, key: patient}
leakage: {key: [patient], features: [weight]}
rows_per_part: 1024
"""
OPEN = (
    "protect: {patient: pseudonymise, arrived: {how: generalise, to: day}, ward: {how: mask, keep: 1}}",
    "protect: {patient: pseudonymise}",
)


def write(folder: Path, rows: int = 3000, heavier: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "id": np.arange(rows),
            "patient": [f"P-{number:05d}" for number in rng.integers(0, 400, rows)],
            "full_name": [f"Somebody Number{number}" for number in range(rows)],
            "ward": np.where(np.arange(rows) % 20 == 0, "", rng.choice(["north-wing", "south-wing"], rows)),
            "weight": np.where(np.arange(rows) % 100 == 7, None, (rng.normal(70, 12, rows) + heavier).round(1)),  # type: ignore[call-overload]
            "arrived": pd.date_range("2026-01-01", periods=rows, freq="h", tz="UTC").strftime("%Y-%m-%dT%H:%M:%SZ"),
            "days": rng.integers(0, 12, rows),
        }
    )
    frame.to_csv(folder / "visits.csv", index=False)
    return frame


def run(folder: Path, *changes: tuple[str, str], **listeners: Any) -> Ingested:
    text = JOB
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return ingest(validate(parse(folder / "job.yaml", text), IngestJob), folder, address(folder), **listeners)


def address(folder: Path) -> VaultAddress:
    return VaultAddress(f"file://{folder}/store", f"{folder}/keyring.json")


@pytest.fixture
def folder(tmp_path: Path, shared_cluster: Shared) -> Path:
    write(tmp_path)
    return tmp_path


def read(vault: Vault, done: Ingested) -> dict[str, pd.DataFrame]:
    return {split: vault.read(done.version, split).to_pandas() for split in ("train", "validation", "test", "rejected")}


def test_each_column_is_sealed_as_declared_and_the_report_tells_no_value(folder: Path):
    raw = write(folder)
    progress: list[Any] = []
    done = run(folder, on_progress=progress.append)
    vault = address(folder).open()
    found = read(vault, done)
    kept = pd.concat([found[split] for split in ("train", "validation", "test")])
    assert len(kept) == done.rows_kept == raw["weight"].notna().sum() and set(found["rejected"]["_reason"]) == {"not weighed"}
    assert sorted(found["rejected"]["id"]) == list(range(7, 3000, 100)), "rejected rows are whole"
    for rows in found.values():
        assert rows["patient"].str.fullmatch("[0-9a-f]{32}").all() and set(rows["ward"].dropna()) == {"***g"}
        assert rows["full_name"].tolist() == [f"Somebody Number{number}" for number in rows["id"]], "readable with the key"
    assert (kept["arrived"] == kept["arrived"].dt.floor("D")).all() and "days" not in kept
    names = kept.set_index("id")["patient"]
    assert names.groupby(raw.set_index("id")["patient"]).nunique().max() == 1, "one patient, one pseudonym"
    owners = [set(found[split]["patient"]) for split in ("train", "validation", "test")]
    assert not owners[0] & owners[1] and not owners[0] & owners[2] and not owners[1] & owners[2]

    merged, findings = account.of(vault, done.version)
    assert {finding.rule: finding.held for finding in findings} == {"unique": True, "drift": True, "null_share": False, "leakage": True}
    assert sum(split["rows"] for split in merged.values()) == done.rows_kept
    assert all(split["columns"]["full_name"].keys() == {"kind", "rows", "nulls"} for split in merged.values())
    text = page(done.version, merged, findings)
    assert "Somebody" not in text and "P-00" not in text and "null_share ward: 5." in text
    assert summary(done.version, merged, findings)["rejected"] == {"not weighed": 30}
    manifest = next((folder / "store").rglob("manifest.json")).read_bytes()
    assert b"histogram" not in manifest and b"null_share" not in manifest, "a manifest is not encrypted"
    assert any("warning: null_share ward: 5." in str(said) for said in progress)


def test_a_version_that_a_rule_refuses_is_not_made(folder: Path):
    run(folder, OPEN)
    before = address(folder).open().find_dataset("visits").digest
    write(folder, heavier=15)
    with pytest.raises(WorkError, match=r"drift weight: psi is \d\.\d{3} against the version before, at most 0.2 is wanted"):
        run(folder, OPEN)
    write(folder).loc[lambda rows: rows.index.repeat(np.where(rows["id"] == 2500, 2, 1))].to_csv(folder / "visits.csv", index=False)
    with pytest.raises(WorkError, match="unique id: 1 of 2,971 rows repeat one before them, none may"):
        run(folder, OPEN)
    write(folder)
    by_row = ("split: {by: group, key: patient}", "split: {by: hash}")
    with pytest.raises(WorkError, match=r"keys \(patient\) are in both"):
        run(folder, OPEN, by_row)
    write(folder).rename(columns={"full_name": "note"}).assign(note="ann@example.com").to_csv(folder / "visits.csv", index=False)
    with pytest.raises(SpecError, match=r"neither classified nor protected: note \(e-mail addresses\)"):
        run(folder, OPEN, ("classes: {full_name: personal}", "classes: {ward: personal}"), ("full_name", "note"))
    assert address(folder).open().find_dataset("visits").digest == before
