"""Every format of files and tables through real tasks into one sealed version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import deltalake
import lance
import pytest
from PIL import Image
from pydantic import TypeAdapter
from pyiceberg.catalog import load_catalog

from mlray.ingest.on_ray import ingest
from mlray.ingest.spec import IngestJob
from mlray.vault.store import VaultAddress
from tests.clusters import Shared
from tests.sources.test_formats import COLUMNS, DATA, EXPECTED, ROWS, WRITERS

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module", autouse=True)
def cluster(shared_cluster: Shared) -> Shared:
    return shared_cluster


def job(sources: dict[str, Any], **fields: Any) -> IngestJob:
    around = {"kind": "ingest", "name": "all", "policy": "none.yaml", "dataset": "all", "split": {"by": "none"}, "rows_per_part": 1024}
    return TypeAdapter(IngestJob).validate_python({**around, "sources": sources, "main": list(sources), **fields})


@pytest.fixture
def vault(tmp_path: Path) -> VaultAddress:
    return VaultAddress(f"file://{tmp_path}/store", f"{tmp_path}/keyring.json")


def test_every_format_becomes_the_same_rows_of_one_version(tmp_path: Path, vault: VaultAddress):
    sources: dict[str, Any] = {}
    for name, write in WRITERS.items():
        write(DATA, tmp_path / f"f.{name}")
        sources[name] = {"format": name, "uri": f"f.{name}"}
    deltalake.write_deltalake(tmp_path / "delta", DATA)
    lance.write_dataset(DATA, tmp_path / "lance")
    catalog = load_catalog("default", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/house")
    catalog.create_namespace("shop")
    catalog.create_table("shop.rows", schema=DATA.schema).append(DATA)
    sources |= {name: {"format": name, "uri": name} for name in ("delta", "lance")}
    sources["iceberg"] = {"format": "iceberg", "catalog": "sqlite:///catalog.db", "table": "shop.rows"}
    for source in sources.values():
        source["columns"] = COLUMNS
    done = ingest(job(sources), tmp_path, vault)
    assert (done.rows_read, done.rejected) == (ROWS * len(sources), ())
    rows = vault.open().read(done.version, "all").to_pandas()
    whole = EXPECTED.to_pandas()
    for number in range(len(sources)):
        assert rows.iloc[number * ROWS : (number + 1) * ROWS].reset_index(drop=True).equals(whole), list(sources)[number]


def test_images_are_sealed_and_what_is_none_is_set_aside(tmp_path: Path, vault: VaultAddress):
    (tmp_path / "pets").mkdir()
    for number in range(5):
        Image.new("RGB", (10 + number, 7)).save(tmp_path / "pets" / f"{number}.png")
    (tmp_path / "pets" / "notes.png").write_text("no image")
    columns = {"path": "text", "bytes": "binary", "width": {"type": "int", "on_bad": "reject"}}
    done = ingest(job({"pets": {"format": "images", "uri": "pets", "columns": columns}}), tmp_path, vault)
    assert (done.rows_kept, sum(rows for _, rows in done.rejected)) == (5, 1)
    rows = vault.open().read(done.version, "all")
    assert rows["width"].to_pylist() == [10, 11, 12, 13, 14]
    assert rows["bytes"][4].as_py() == (tmp_path / "pets" / "4.png").read_bytes()
