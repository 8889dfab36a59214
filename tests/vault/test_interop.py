"""Polars, which implements encrypted Parquet independently, reads what mlray sealed, and refuses what it should."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from mlray.vault.store import Vault, VaultAddress
from mlray.vault.tables import Compression
from mlray.vault.version import DatasetVersion

COUNT = 200_000  # more than one row group
TABLE = pa.table(
    {
        "tiny": pa.array([1, None, -3, 4] * (COUNT // 4), pa.int8()),
        "count": pa.array(range(COUNT), pa.int64()),
        "share": pa.array([0.5, None, float("inf"), -0.0] * (COUNT // 4), pa.float64()),
        "name": pa.array(["Ada", "", None, "Grace é"] * (COUNT // 4), pa.string()),
        "late": pa.array([True, None, False, True] * (COUNT // 4), pa.bool_()),
        "at": pa.array([datetime(2026, 1, 2, tzinfo=UTC), None] * (COUNT // 2), pa.timestamp("us", "UTC")),
        "photo": pa.array([b"\x00\xff", None, b"", b"xyz"] * (COUNT // 4), pa.binary()),
    }
)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return VaultAddress(f"file://{tmp_path}/store", f"{tmp_path}/keyring.json").open()


def commit(vault: Vault, compression: Compression = "zstd") -> DatasetVersion:
    draft = vault.draft_dataset("flights", "a" * 64)
    parts = [vault.write_part(draft, f"train-0000{i}", "train", TABLE, compression=compression) for i in range(2)]
    return vault.commit_dataset(draft, parts, schema=TABLE.schema, lineage=())


def by_polars(vault: Vault, version: DatasetVersion, number: int = 0, file: int | None = None, **changes: Any) -> pl.LazyFrame:
    key, place = vault.file_key(version, version.manifest.parts[number])
    properties = pl.ParquetDecryptionProperties(**({"footer_key": key, "aad_prefix": place} | changes))
    stored = (
        Path(vault.address.store.removeprefix("file://"))
        / "datasets/flights"
        / version.manifest.parts[number if file is None else file].file
    )
    return pl.scan_parquet(stored, decryption=properties)


@pytest.mark.parametrize("compression", ["zstd", "snappy", "lz4", "none"])
def test_polars_reads_every_value_of_a_part(vault: Vault, compression: Compression):
    version = commit(vault, compression)
    assert by_polars(vault, version).collect().equals(pl.DataFrame(TABLE))


def test_polars_reads_some_columns_and_rows_of_it(vault: Vault):
    found = by_polars(vault, commit(vault)).filter(pl.col("count") >= COUNT - 3).select("name").collect()
    assert found["name"].to_list() == ["", None, "Grace é"]


@pytest.mark.parametrize("changes", [{"aad_prefix": b"dataset flights: elsewhere"}, {"footer_key": bytes(32)}])
def test_polars_reads_nothing_with_another_key_or_for_another_place(vault: Vault, changes: dict[str, Any]):
    version = commit(vault)
    with pytest.raises(pl.exceptions.ComputeError):
        by_polars(vault, version, **changes).collect()


def test_one_files_key_does_not_open_its_neighbour(vault: Vault):
    version = commit(vault)
    with pytest.raises(pl.exceptions.ComputeError):
        by_polars(vault, version, 0, file=1).collect()
