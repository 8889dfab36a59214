"""Ray Data reads and writes sealed versions exactly, and no key travels."""

from __future__ import annotations

import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import ray
from ray.data.expressions import col

from mlray.errors import StoreError
from mlray.vault import tables
from mlray.vault.on_ray import SealedSink, SealedSource, dataset, read_parts
from mlray.vault.opened import context
from mlray.vault.store import Vault, VaultAddress
from mlray.vault.version import DatasetVersion, dataset_digest

pytestmark = pytest.mark.ray

ROWS, PARTS = 20_000, 7


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return VaultAddress(f"file://{tmp_path}/store", f"{tmp_path}/keyring.json").open()


def block(number: int) -> pa.Table:
    first = number * ROWS
    return pa.table(
        {"n": pa.array(range(first, first + ROWS), pa.int64()), "word": [f"w{i % 3}" for i in range(ROWS)], "who": ["Ada Lovelace"] * ROWS}
    )


def commit(vault: Vault) -> DatasetVersion:
    draft = vault.draft_dataset("flights", dataset_digest("flights", ()))
    parts = [vault.write_part(draft, f"train-{i:05d}", "train", block(i), {"who": "personal"}) for i in range(PARTS)]
    return vault.commit_dataset(draft, parts, schema=block(0).schema, lineage=())


def test_a_task_is_sent_no_key_and_reads_its_parts_in_order(vault: Vault):
    version = commit(vault)
    source = SealedSource(vault.address, version, "train", ["n"], pc.field("n") < 3 * ROWS)
    tasks = source.get_read_tasks(3)
    assert [len(task.metadata.input_files) for task in tasks] == [2, 2, 3]
    sent = ray.cloudpickle.dumps(tasks)
    key, file_key = (
        vault.keyring.unwrap(
            vault.shelf.keys("dataset", "flights", version.digest)["data"], context("dataset", "flights", version.digest, "data")
        ),
        vault.file_key(version, version.manifest.parts[0])[0],
    )
    for secret in (key.secret(), file_key):
        assert secret not in sent and secret.hex().encode() not in sent
    again = pickle.loads(sent)
    assert [sum(table.num_rows for table in task()) for task in again] == [2 * ROWS, ROWS, 0]
    assert next(iter(again[0]())).column("n").to_pylist() == list(range(ROWS))


def test_a_column_of_pickles_is_refused_before_it_is_read(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Made by one who can sign and seal: its value would run a command when Arrow hands it over."""
    from ray.data._internal.object_extensions.arrow import ArrowPythonObjectArray

    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "ran",)

    odd = pa.table({"n": [1], "odd": ArrowPythonObjectArray.from_objects([Bomb()])})
    with pytest.raises(StoreError, match="column odd"):
        vault.write_part(vault.draft_dataset("bomb", "b" * 64), "train-00000", "train", odd)
    with monkeypatch.context() as patch:
        patch.setattr(tables, "check_types", lambda *args: None)
        patch.setattr(tables, "encodings", lambda table: ([], {}))
        draft = vault.draft_dataset("bomb", "b" * 64)
        part = vault.write_part(draft, "train-00000", "train", odd)
        version = vault.commit_dataset(draft, [part], schema=odd.schema, lineage=())
    with pytest.raises(StoreError, match=r"bomb@bbbb.*part train-00000: column odd is"):
        list(read_parts(vault.address, "bomb", version.digest, version.manifest.parts, None, None))
    assert not (tmp_path / "ran").exists()


def test_on_a_cluster_sums_projections_and_filters_are_exact_and_a_written_dataset_comes_back(shared_cluster, vault: Vault):
    version = commit(vault)
    total = ROWS * PARTS
    rows = dataset(vault.address, version, "train")
    assert rows.count() == total
    assert rows.sum("n") == total * (total - 1) // 2
    assert sorted(rows.schema().names) == ["n", "who", "word"]
    few = dataset(vault.address, version, "train", ["n"], pc.field("word") == "w1")
    assert few.schema().names == ["n"] and few.count() == sum(i % 3 == 1 for i in range(ROWS)) * PARTS
    pushed = rows.filter(expr=col("n") >= total - 5).select_columns(["n"])
    assert "Filter" not in pushed.materialize().stats().split("\n")[0]
    assert sorted(row["n"] for row in pushed.take_all()) == list(range(total - 5, total))

    draft = vault.draft_dataset("doubled", "d" * 64)
    sink = SealedSink(draft, "train", {"who": "personal"})
    rows.map_batches(lambda batch: batch.set_column(0, "n", pc.multiply(batch["n"], 2)), batch_format="pyarrow").write_datasink(sink)
    made = vault.commit_dataset(draft, sink.parts, schema=block(0).schema, lineage=())
    found = vault.read(made, "train")
    assert found.num_rows == total and pc.sum(found["n"]).as_py() == total * (total - 1)
    assert b"Lovelace" not in b"".join(path.read_bytes() for path in Path(vault.address.store.removeprefix("file://")).rglob("*.parquet"))
    vault.verify(made)
    with pytest.raises(StoreError, match="no rows in split 'test'"):
        dataset(vault.address, version, "test")
