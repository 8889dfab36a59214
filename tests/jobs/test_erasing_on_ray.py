"""What real ingest tasks seal for a person is gone with that person's key, and with nobody else's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml

from mlray.home import Home
from mlray.ingest.on_ray import ingest
from mlray.ingest.report import Ingested
from mlray.ingest.spec import IngestJob
from mlray.jobs import erasing, keeping
from mlray.jobs.certificates import vault_of
from mlray.jobs.checking import check
from tests.clusters import Shared

pytestmark = pytest.mark.ray

JOB = """
kind: ingest
name: visits-ingest
owner: ada
policy: none.yaml
dataset: visits
sources:
  visits:
    format: csv
    uri: visits.csv
    columns: {who: text, email: text, age: int, day: timestamp, cost: float}
main: visits
checks:
  - {rule: between, column: cost, low: 0, high: 500, reason: cost out of range}
classes: {who: personal, email: personal, age: secret, cost: internal, day: internal}
subject: who
keep: 90d
split: {by: hash}
rows_per_part: 1024
"""


def visits(folder: Path, rows: int, spec: str = JOB) -> Ingested:
    lines = (f"P{i % 50},p{i % 50}@example.org,{20 + i % 50},2026-01-{1 + i % 28:02d}T00:00:{i % 60:02d}Z,{i % 510}" for i in range(rows))
    (folder / "visits.csv").write_text("\n".join(["who,email,age,day,cost", *lines]) + "\n")
    home = Home.locate()
    return ingest(IngestJob.model_validate(yaml.safe_load(spec)), folder, vault_of(home).address)


def rows_of(home: Home, found: Ingested) -> pa.Table:
    """Rejected rows as well: they are about people like any other."""
    vault, splits = vault_of(home), [split for split in found.version.manifest.splits if split not in ("report", "pieces")]
    assert "rejected" in splits
    return pa.concat_tables(vault.read(found.version, split, ["who", "email", "age", "cost"]) for split in splits)


def test_one_person_leaves_every_version_that_tasks_sealed(shared_cluster: Shared, home: Home, tmp_path: Path):
    first, second = visits(tmp_path, 4000), visits(tmp_path, 6000)
    assert first.version.digest != second.version.digest and first.version.manifest.about["keep"] == "90d"
    assert first.version.manifest.about["subject"] == {"column": "who", "sealed": ["who", "email", "age"]}
    before = [rows_of(home, found) for found in (first, second)]
    assert [table["who"].null_count for table in before] == [0, 0]

    done = erasing.erase(home, "visits", "P7")
    assert done.whole and done.unreached == ()
    for table, found, of in zip(before, (first, second), (80, 120), strict=True):
        left = rows_of(home, found)
        gone = pc.equal(table["who"], "P7")
        assert [left[column].null_count for column in ("who", "email", "age", "cost")] == [of, of, of, 0]
        assert left.filter(pc.invert(gone)).equals(table.filter(pc.invert(gone)))

    third = visits(tmp_path, 8000)  # the person comes again, and leaves nothing
    assert rows_of(home, third)["email"].null_count == 160

    for scope in ("data", "personal", "secret"):
        keeping.retire(home, keeping.rotate(home, scope).before)
    assert rows_of(home, third)["email"].null_count == 160
    assert [found.what for found in check(home) if found.hurts] == ["backup"]

    fates = erasing.prune(home, datetime.now(UTC) + timedelta(days=91))
    assert [fate.destroyed for fate in fates] == [True, True, True]
    assert not list((home.root / "store").rglob("*.parquet")) and not list((home.root / "store").rglob("key.json"))


def test_versions_made_before_persons_were_told_apart_are_named(shared_cluster: Shared, home: Home, tmp_path: Path):
    plain = visits(tmp_path, 2000, JOB.replace("subject: who\n", ""))
    visits(tmp_path, 2000)
    done = erasing.erase(home, "visits", "P7")
    assert [(found.version, found.rows) for found in done.unreached] == [(str(plain.version), 40)]
    assert erasing.erase(home, "visits", "P7", also_destroy_versions=True).whole
