"""The vault in S3: the same promises, and a store that fails one call in ten is ridden out or told of."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from mlray.errors import StoreError, TamperError
from mlray.vault import objects
from mlray.vault.blobs import Blobs
from mlray.vault.store import Vault, VaultAddress
from mlray.vault.version import DatasetVersion, dataset_digest
from tests.vault import s3

TABLE = pa.table({"tailnum": [f"N{i}" for i in range(1000)], "delay": pa.array(range(1000), pa.int64())})


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_EC2_METADATA_DISABLED", "true")):
            patch.setenv(name, value)
        with s3.running() as found:
            yield found


def commit(vault: Vault, spec: str = "s1") -> DatasetVersion:
    lineage = (("spec", spec),)
    draft = vault.draft_dataset("flights", dataset_digest("flights", lineage))
    parts = [vault.write_part(draft, f"train-{i:05d}", "train", TABLE) for i in range(3)]
    for part in parts:
        vault.receipt(draft, f"w{part.name}", b"done")
    return vault.commit_dataset(draft, parts, schema=TABLE.schema, lineage=lineage)


def address(place: str, folder: str, home: Path) -> VaultAddress:
    return VaultAddress(s3.uri(place, folder), f"{home}/keyring.json")


def test_bytes_in_s3_come_back_by_name(place: str):
    blobs = Blobs(s3.uri(place, "bytes"))
    blobs.write("a/b/c", b"one")
    blobs.write("a/b/c", b"two")
    assert (blobs.read("a/b/c"), blobs.read("a/b/d"), blobs.read("x/y")) == (b"two", None, None)
    assert (blobs.files("a/b"), blobs.folders("a"), blobs.files("a"), blobs.files("none")) == (("c",), ("b",), (), ())
    assert (blobs.weight(), blobs.weight("a/b"), blobs.weight("none")) == (3, 3, 0)
    assert blobs.sizes("a/b") == {"c": 3} and blobs.changed("a/b/c") is not None and blobs.changed("a/b/d") is None
    blobs.remove_file("a/b/c")
    blobs.remove_file("a/b/c")
    blobs.remove("a")
    blobs.remove("a")
    assert blobs.read("a/b/c") is None


def test_of_eight_that_claim_an_object_at_once_one_gets_it(place: str):
    stores = [Blobs(s3.uri(place, "claims")) for _ in range(8)]
    with ThreadPoolExecutor(8) as many:
        won = list(many.map(lambda i: stores[i].claim("v/manifest.json", b"%d" % i), range(8)))
    assert won.count(True) == 1
    assert stores[0].read("v/manifest.json") == b"%d" % won.index(True)
    assert stores[won.index(True)].claim("v/manifest.json", b"%d" % won.index(True)), "whoever has it may ask again"


def test_a_version_in_s3_is_committed_read_shared_and_pruned(place: str, tmp_path: Path):
    vault = address(place, "whole", tmp_path).open()
    old, new = commit(vault, "s1"), commit(vault, "s2")
    assert vault.read(new, "train").equals(pa.concat_tables([TABLE] * 3))
    assert vault.datasets() == (old, new) and vault.find_dataset("flights") == new
    assert commit(vault, "s1") == old
    vault.prune(new)
    assert vault.datasets() == (old,)
    blobs = Blobs(s3.uri(place, "whole"))
    assert blobs.files(f"datasets/flights/{new.digest}/parts") == ()
    blobs.write(f"datasets/flights/{old.manifest.parts[0].file}", b"PARE")
    with pytest.raises(TamperError, match="part train-00000"):
        vault.read(old, "train")


@pytest.mark.parametrize("seed", range(2))
def test_an_s3_that_fails_one_call_in_ten_is_ridden_out(place: str, tmp_path: Path, seed: int):
    with s3.failing(place, 0.10, seed) as proxy:
        vault = address(proxy.place, f"tenth-{seed}", tmp_path).open()
        versions = [commit(vault, f"s{i}") for i in range(3)]
        assert proxy.failed >= 5
        assert vault.datasets() == tuple(versions) and vault.find_dataset("flights") == versions[-1]
    calm = address(place, f"tenth-{seed}", tmp_path).open()
    for version in versions:
        calm.verify(version)
        assert Blobs(calm.address.store).files(f"datasets/flights/{version.digest}/done") == ()


@pytest.mark.parametrize("calls", [3, 22, 31])
def test_an_s3_that_goes_down_is_told_of_and_leaves_a_version_whole_or_absent(
    place: str, tmp_path: Path, calls: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(objects, "TRIES", 1)
    calm = address(place, f"down-{calls}", tmp_path).open()
    before = commit(calm, "before")
    with s3.failing(place, 0.0, 0, down_after=calls) as proxy:
        with pytest.raises(StoreError, match=r"cannot (read|write|list|remove)") as told:
            for spec in ("s1", "s2"):
                commit(address(proxy.place, f"down-{calls}", tmp_path).open(), spec)
        assert "Traceback" not in str(told.value)
    assert before in calm.datasets()
    monkeypatch.undo()
    for version in calm.datasets():
        calm.verify(version)
    calm.verify(commit(calm, "s1"))


def test_an_s3_that_is_not_there_is_said_in_one_sentence(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(objects, "TRIES", 1)
    with pytest.raises(StoreError, match="cannot list"):
        commit(address("127.0.0.1:1", "none", tmp_path).open())


def test_without_boto3_a_claim_still_finds_the_name_taken(place: str, monkeypatch: pytest.MonkeyPatch):
    blobs = Blobs(s3.uri(place, "plain"))
    monkeypatch.setitem(blobs._objects.__dict__, "_s3", None)
    assert not blobs._objects.exact
    assert blobs.claim("a", b"one") and not blobs.claim("a", b"two") and blobs.claim("a", b"one")
