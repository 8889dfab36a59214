"""Tables of a lake: only the files their log names, under the names and with the columns it gives them, at a version."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import deltalake
import lance
import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.types import DoubleType

from mlray.errors import SpecError
from mlray.sources import readers
from tests.sources.reading import declared, find, table

YEARS = [2013 + i % 2 for i in range(500)]
ROWS = pa.table({"id": pa.array(range(500), pa.int64()), "year": pa.array(YEARS), "who": [f"P{i}" for i in range(500)]})
MORE = pa.table({"id": pa.array([500], pa.int64()), "year": pa.array([2014]), "who": ["P500"], "price": [1.5]})
COLUMNS = {"id": "int", "year": "float", "who": "text", "price": "float"}


@pytest.fixture
def delta(tmp_path: Path) -> dict[str, Any]:
    """Version 0 without prices, 1 with one row more, 2 without the first rows."""
    deltalake.write_deltalake(tmp_path / "t", ROWS, partition_by=["year"])
    deltalake.write_deltalake(tmp_path / "t", MORE, mode="append", schema_mode="merge")
    deltalake.DeltaTable(tmp_path / "t").delete("id < 10")
    return {"uri": "t", "format": "delta"}


def test_a_delta_table_is_its_files_that_count(tmp_path: Path, delta: dict[str, Any]):
    got = table(tmp_path, 150, **delta, columns=COLUMNS).sort_by("id")
    assert got["id"].to_pylist() == list(range(10, 501))
    assert got["year"].to_pylist() == [*(2013.0 + i % 2 for i in range(10, 500)), 2014.0], "what names a folder is a column"
    assert got["price"].to_pylist() == [None] * 490 + [1.5]
    found = find(tmp_path, **delta, columns=COLUMNS)
    assert found.fact("version") == "2" and found.changed and abs((found.changed - datetime.now(UTC)).total_seconds()) < 600
    assert dict(found.columns) == {"id": "int", "who": "text", "year": "int", "price": "float"}


def test_an_older_version_of_a_delta_table_is_read_as_it_was(tmp_path: Path, delta: dict[str, Any]):
    got = table(tmp_path, **delta, version=0, columns={"id": "int", "who": "text"})
    assert sorted(got["id"].to_pylist()) == list(range(500))
    with pytest.raises(SpecError, match="no column price"):
        find(tmp_path, **delta, version=0, columns=COLUMNS)
    digests = {version: find(tmp_path, **delta, version=version, columns={"id": "int"}).digest for version in (0, 1, 2)}
    assert len(set(digests.values())) == 3
    assert find(tmp_path, **delta, columns={"id": "int"}).digest == digests[2]


def test_a_delta_table_that_is_not_there_or_too_new_is_refused(tmp_path: Path, delta: dict[str, Any]):
    with pytest.raises(SpecError, match=r"source s \(t\): .*no Delta table of version 9"):
        find(tmp_path, **delta, version=9, columns=COLUMNS)
    with pytest.raises(SpecError, match="no Delta table can be read there"):
        find(tmp_path, uri="nowhere", format="delta", columns=COLUMNS)
    deltalake.write_deltalake(tmp_path / "v", ROWS, configuration={"delta.enableDeletionVectors": "true"})
    with pytest.raises(SpecError, match=r"uses deletionVectors\b.*, which mlray does not read"):
        find(tmp_path, uri="v", format="delta", columns=COLUMNS)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """One table: a column renamed, one added, one row deleted by rewriting."""
    made = load_catalog("made", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}/house")
    made.create_namespace("shop")
    made.create_table("shop.rows", schema=ROWS.schema).append(ROWS)
    rows = made.load_table("shop.rows")
    with rows.update_schema() as change:
        change.rename_column("who", "name")
        change.add_column("price", DoubleType())
    rows.append(MORE.rename_columns(["id", "year", "name", "price"]))
    rows.delete("id = 2")
    return made


ICEBERG: dict[str, Any] = {"format": "iceberg", "catalog": "sqlite:///catalog.db", "catalog_name": "made", "table": "shop.rows"}


def test_an_iceberg_table_is_read_by_its_field_ids(tmp_path: Path, catalog: Catalog):
    got = table(tmp_path, 150, **ICEBERG, columns={"id": "int", "name": "text", "price": "float"}).sort_by("id")
    assert got["id"].to_pylist() == [0, 1, *range(3, 501)]
    assert got["name"].to_pylist() == [f"P{i}" for i in got["id"].to_pylist()], "the first file calls it who"
    assert got["price"].null_count == 499
    found = find(tmp_path, **ICEBERG, columns={"id": "int"})
    assert dict(found.columns) == {"id": "int", "year": "int", "name": "text", "price": "float"} and found.changed


def test_an_older_snapshot_of_an_iceberg_table_is_read_as_it_was(tmp_path: Path, catalog: Catalog):
    first = catalog.load_table("shop.rows").snapshots()[0].snapshot_id
    assert table(tmp_path, **ICEBERG, snapshot=first, columns={"id": "int", "who": "text"}).num_rows == 500
    with pytest.raises(SpecError, match="no snapshot 7"):
        find(tmp_path, **ICEBERG, snapshot=7, columns={"id": "int"})
    with pytest.raises(SpecError, match=r"source s \(shop.gone\): the catalog gives no such table \(NoSuchTableError\)"):
        find(tmp_path, **{**ICEBERG, "table": "shop.gone"}, columns={"id": "int"})


def test_a_lance_dataset_is_read_at_its_version(tmp_path: Path):
    lance.write_dataset(ROWS, tmp_path / "t", max_rows_per_file=200)
    lance.write_dataset(ROWS.slice(0, 1), tmp_path / "t", mode="append").delete("id = 1")
    fields: dict[str, Any] = {"uri": "t", "format": "lance", "columns": {"id": "int", "name": {"of": "who", "type": "text"}}}
    got = table(tmp_path, 150, **fields)
    assert got["id"].to_pylist() == [0, *range(2, 500), 0] and got["name"][-1].as_py() == "P0"
    assert table(tmp_path, **fields, version=1).num_rows == 500
    source = declared(**fields)
    before = find(tmp_path, **fields)
    lance.write_dataset(ROWS, tmp_path / "t", mode="append")
    assert readers.whole(before, source).num_rows == 500, "what was found stays as it is"
    assert find(tmp_path, **fields).digest != before.digest
    with pytest.raises(SpecError, match="no Lance dataset of version 99"):
        find(tmp_path, **fields, version=99)


def test_tables_cut_into_pieces_keep_their_names(tmp_path: Path, delta: dict[str, Any], catalog: Catalog):
    for fields in (delta, ICEBERG):
        one, two = (find(tmp_path, 150, **fields, columns={"id": "int"}) for _ in range(2))
        assert one == two and len({piece.digest for piece in one.pieces}) == len(one.pieces) > 1
