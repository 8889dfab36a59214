"""What was committed comes back, or nothing does."""

from __future__ import annotations

import pickle
import random
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlray.errors import KeyringError, MlrayError, StoreError, TamperError
from mlray.vault.keyring import DataKey, WrappedKey
from mlray.vault.opened import context
from mlray.vault.sealing import MAGICS
from mlray.vault.store import Draft, Vault, VaultAddress
from mlray.vault.version import DatasetVersion, dataset_digest

TAILNUMS = [f"N{number}UA" for number in range(14220, 14230)]
TRAIN = pa.table({"tailnum": TAILNUMS * 10, "late": pa.array([0, 1] * 50, pa.int8())})
TEST = pa.table({"tailnum": TAILNUMS, "late": pa.array([1] * 10, pa.int8())})
LINEAGE = (("spec", "s1"),)


@pytest.fixture
def address(tmp_path: Path) -> VaultAddress:
    return VaultAddress(f"file://{tmp_path}/home/store", f"{tmp_path}/home/keyring.json")


@pytest.fixture
def vault(address: VaultAddress) -> Vault:
    return address.open()


def commit(vault: Vault, name: str = "flights", spec: str = "s1", train: pa.Table = TRAIN) -> DatasetVersion:
    lineage = (("spec", spec),)
    draft = vault.draft_dataset(name, dataset_digest(name, lineage))
    pieces = (("train-00000", "train", train), ("train-00001", "train", TEST), ("test-00000", "test", TEST))
    parts = [vault.write_part(draft, part, split, table) for part, split, table in pieces]
    return vault.commit_dataset(draft, parts, schema=TRAIN.schema, lineage=lineage, rejected={"cancelled": 3}, about={"rows_read": 123})


def stored(address: VaultAddress) -> Path:
    return Path(address.store.removeprefix("file://"))


def file_of(address: VaultAddress, version: DatasetVersion, part: str) -> Path:
    file = next(p.file for p in version.manifest.parts if p.name == part)
    return stored(address) / "datasets" / version.name / file


def manifest_of(address: VaultAddress, version: DatasetVersion) -> Path:
    return stored(address) / "datasets" / version.name / version.digest / "manifest.json"


def test_a_committed_dataset_reads_back_in_order(vault: Vault):
    version = commit(vault)
    assert vault.read(version, "train").equals(pa.concat_tables([TRAIN, TEST]))
    assert vault.read(version, "test", ["late"]).column_names == ["late"]
    assert (version.manifest.rows("train"), version.manifest.rejected) == (110, (("cancelled", 3),))
    vault.verify(version)


def test_no_latest_version_is_told_apart_from_a_store_that_cannot_be_read(vault: Vault, address: VaultAddress):
    """Who takes the second for the first begins a dataset anew."""
    assert vault.latest_dataset("flights") is None
    version = commit(vault)
    assert vault.latest_dataset("flights") == version
    (pointer,) = (stored(address) / "datasets" / "flights" / "latest").iterdir()
    pointer.unlink()
    pointer.mkdir()
    (pointer.parent / "000000000009").mkdir()
    with pytest.raises(MlrayError):
        vault.latest_dataset("flights")


def test_a_version_is_found_by_latest_and_by_how_its_digest_begins(vault: Vault):
    old, new = commit(vault, spec="s1"), commit(vault, spec="s2")
    assert vault.find_dataset("flights") == new
    assert vault.find_dataset("flights", old.digest[:6]) == old
    assert vault.datasets() == (old, new)


def test_a_version_asked_for_again_is_the_latest_again(vault: Vault):
    old, _ = commit(vault, spec="s1"), commit(vault, spec="s2")
    assert vault.known_dataset("flights", old.digest) == old
    assert vault.find_dataset("flights") == old
    assert vault.known_dataset("flights", "0" * 64) is None


def test_what_is_not_there_is_said_with_what_is(vault: Vault):
    with pytest.raises(StoreError, match="no dataset named 'flights'"):
        vault.find_dataset("flights")
    version = commit(vault)
    with pytest.raises(StoreError) as absent:
        vault.find_dataset("flights", "zz")
    assert version.digest[:12] in absent.value.hint
    with pytest.raises(StoreError, match="no rows in split 'validation'") as absent:
        vault.read(version, "validation")
    assert absent.value.hint == "there are test, train"


def test_the_second_commit_of_a_version_returns_the_first_and_leaves_nothing(vault: Vault, address: VaultAddress):
    first = commit(vault)
    again = commit(vault, train=TEST)
    assert again == first
    assert vault.read(again, "train").num_rows == 110
    assert sum(1 for _ in manifest_of(address, first).parent.rglob("*.parquet")) == 3


def test_a_draft_that_was_never_committed_is_no_version_and_is_swept(vault: Vault, address: VaultAddress):
    draft = vault.draft_dataset("flights", dataset_digest("flights", LINEAGE))
    vault.write_part(draft, "train-00000", "train", TRAIN)
    assert vault.datasets() == ()
    version = commit(vault)
    folder = manifest_of(address, version).parent
    assert sum(1 for _ in folder.rglob("*.parquet")) == 3


def test_a_part_written_twice_counts_once(vault: Vault, address: VaultAddress):
    draft = vault.draft_dataset("flights", dataset_digest("flights", LINEAGE))
    vault.write_part(draft, "train-00000", "train", TRAIN)
    part = vault.write_part(draft, "train-00000", "train", TRAIN)
    version = vault.commit_dataset(draft, [part], schema=TRAIN.schema, lineage=LINEAGE)
    assert vault.read(version, "train").num_rows == 100
    assert [file.name for file in manifest_of(address, version).parent.rglob("*.parquet")] == [Path(part.file).name]


def test_a_writer_killed_before_its_commit_leaves_no_version_and_the_next_run_is_whole(vault: Vault, address: VaultAddress, tmp_path: Path):
    script = (
        "import os, signal, pickle, sys; sys.path.insert(0, sys.argv[2])\n"
        "address, digest, table = pickle.load(open(sys.argv[1], 'rb'))\n"
        "vault = address.open(); draft = vault.draft_dataset('flights', digest)\n"
        "vault.write_part(draft, 'train-00000', 'train', table)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    (tmp_path / "work").write_bytes(pickle.dumps((address, dataset_digest("flights", LINEAGE), TRAIN)))
    root = str(Path(__file__).parents[2])
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path / "work"), root], timeout=60).returncode == -9
    assert len(list(stored(address).rglob("*.parquet"))) == 1
    assert vault.datasets() == ()
    vault.verify(commit(vault))
    assert len(list(stored(address).rglob("*.parquet"))) == 3


def bend(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def flip(address: VaultAddress, version: DatasetVersion) -> None:
    bend(file_of(address, version, "train-00001"), 700)


def flip_magic(address: VaultAddress, version: DatasetVersion) -> None:
    bend(file_of(address, version, "train-00001"), 0)


def truncate(address: VaultAddress, version: DatasetVersion) -> None:
    path = file_of(address, version, "train-00001")
    path.write_bytes(path.read_bytes()[:-9])


def drop(address: VaultAddress, version: DatasetVersion) -> None:
    file_of(address, version, "train-00001").unlink()


def swap(address: VaultAddress, version: DatasetVersion) -> None:
    one, two = file_of(address, version, "train-00001"), file_of(address, version, "test-00000")
    held = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(held)


def plain(address: VaultAddress, version: DatasetVersion) -> None:
    pq.write_table(TEST, file_of(address, version, "train-00001"))


@pytest.mark.parametrize("harm", [flip, flip_magic, truncate, drop, swap, plain])
def test_a_harmed_part_is_refused_by_name(vault: Vault, address: VaultAddress, harm):
    version = commit(vault)
    harm(address, version)
    for read in (lambda: vault.read(version, "train"), lambda: vault.verify(version), lambda: address.open().read(version, "train")):
        with pytest.raises(TamperError, match=r"part (train-00001|test-00000)"):
            read()


def test_every_flipped_bit_of_a_sample_is_refused(vault: Vault, address: VaultAddress):
    version, rng = commit(vault), random.Random(7)
    path = file_of(address, version, "train-00001")
    whole = path.read_bytes()
    for _ in range(100):
        path.write_bytes(whole)
        bend(path, rng.randrange(len(whole)))
        with pytest.raises(TamperError, match="part train-00001"):
            vault.read(version, "train")
    path.write_bytes(whole)
    assert vault.read(version, "train").num_rows == 110


def test_a_file_put_in_place_by_digest_still_has_to_be_in_its_place(vault: Vault, address: VaultAddress):
    """Even one who can sign cannot offer one file as another: its place is bound into its encryption."""
    draft = vault.draft_dataset("flights", dataset_digest("flights", LINEAGE))
    part = vault.write_part(draft, "train-00000", "train", TRAIN)
    moved = replace(part, name="train-00009", file=part.file.replace("train-00000", "train-00009"))
    file = stored(address) / "datasets" / "flights" / part.file
    shutil.copy(file, file.parent / Path(moved.file).name)
    version = vault.commit_dataset(draft, [moved], schema=TRAIN.schema, lineage=LINEAGE)
    with pytest.raises(TamperError, match="part train-00009"):
        vault.read(version, "train")


def test_two_runs_of_one_version_share_its_keys_and_what_one_noted_the_other_reads(vault: Vault, address: VaultAddress):
    digest = dataset_digest("flights", LINEAGE)
    one, two = vault.draft_dataset("flights", digest), address.open().draft_dataset("flights", digest)
    assert one.keys == two.keys and one.id != two.id
    part = vault.write_part(one, "train-00000", "train", TRAIN, work="w1")
    vault.receipt(one, "w1", b"train-00000 is done")
    again = address.open()
    assert again.receipts(two) == {"w1": b"train-00000 is done"}
    version = again.commit_dataset(two, [part], schema=TRAIN.schema, lineage=LINEAGE)
    assert again.read(version, "train").equals(TRAIN)
    assert version.manifest.parts[0].work == "w1"
    assert not (manifest_of(address, version).parent / "done").exists()


def test_a_receipt_moved_or_bent_is_refused(vault: Vault, address: VaultAddress):
    draft = vault.draft_dataset("flights", dataset_digest("flights", LINEAGE))
    vault.receipt(draft, "w1", b"one")
    done = stored(address) / "datasets" / "flights" / draft.digest / "done"
    shutil.copy(done / "w1.sealed", done / "w2.sealed")
    with pytest.raises(TamperError, match=r"done/w2\.sealed"):
        vault.receipts(draft)


def test_a_shared_part_is_read_by_the_new_version_after_the_old_one_is_gone(vault: Vault, address: VaultAddress):
    old = commit(vault, spec="s1")
    draft = vault.draft_dataset("flights", dataset_digest("flights", (("spec", "s2"),)))
    shared = [vault.share_part(draft, part, old) for part in old.manifest.of("train")]
    fresh = vault.write_part(draft, "test-00000", "test", TEST)
    files = set(stored(address).rglob("*.parquet"))
    new = vault.commit_dataset(draft, [*shared, fresh], schema=TRAIN.schema, lineage=(("spec", "s2"),))
    assert set(stored(address).rglob("*.parquet")) == files, "sharing writes no file and sweeps none"
    vault.prune(old)
    assert vault.datasets() == (new,)
    assert vault.read(new, "train").num_rows == 110
    vault.verify(new)
    left = {str(path.relative_to(stored(address) / "datasets" / "flights")) for path in stored(address).rglob("*.parquet")}
    assert left == {part.file for part in new.manifest.parts}
    with pytest.raises(KeyringError):
        vault.read(old, "train")


def test_making_a_pruned_version_again_leaves_what_others_share(vault: Vault, address: VaultAddress):
    old = commit(vault, spec="s1")
    draft = vault.draft_dataset("flights", dataset_digest("flights", (("spec", "s2"),)))
    new = vault.commit_dataset(
        draft, [vault.share_part(draft, part, old) for part in old.manifest.parts], schema=TRAIN.schema, lineage=(("spec", "s2"),)
    )
    vault.prune(old)
    again = commit(vault, spec="s1")
    assert again.digest == old.digest and again != old
    for version in (new, again):
        vault.verify(version)
    vault.tag(new, "kept")
    assert vault.datasets() == (new, again)


def test_a_discarded_draft_leaves_nothing_and_its_other_run_cannot_commit(vault: Vault, address: VaultAddress):
    digest = dataset_digest("flights", LINEAGE)
    one, two = vault.draft_dataset("flights", digest), vault.draft_dataset("flights", digest)
    part = vault.write_part(two, "train-00000", "train", TRAIN)
    vault.discard(one)
    assert not any(path.is_file() for path in stored(address).rglob("*"))
    with pytest.raises(StoreError, match="the keys of this draft are gone"):
        vault.commit_dataset(two, [part], schema=TRAIN.schema, lineage=LINEAGE)
    assert vault.datasets() == ()
    version = commit(vault)
    vault.discard(vault.draft_dataset("flights", version.digest))
    vault.verify(version)


def test_a_version_is_not_committed_without_its_files(vault: Vault, address: VaultAddress):
    draft = vault.draft_dataset("flights", dataset_digest("flights", LINEAGE))
    part = vault.write_part(draft, "train-00000", "train", TRAIN)
    (stored(address) / "datasets" / "flights" / part.file).unlink()
    with pytest.raises(StoreError, match="part train-00000 is not in the store"):
        vault.commit_dataset(draft, [part], schema=TRAIN.schema, lineage=LINEAGE)
    assert vault.datasets() == ()


def test_a_tag_moves_and_holds_its_version_against_pruning(vault: Vault):
    one, two = commit(vault, spec="s1"), commit(vault, spec="s2")
    vault.tag(one, "prod")
    assert vault.find_dataset("flights", "prod") == one
    assert vault.tags("flights") == {"latest": two.digest, "prod": one.digest}
    for held, name in ((one, "prod"), (two, "latest")):
        with pytest.raises(StoreError, match=f"is {name}"):
            vault.prune(held)
    vault.tag(two, "prod")
    vault.prune(one)
    assert vault.datasets() == (two,)
    for bad in ("latest", "../up", "", "1st", "a b"):
        with pytest.raises(StoreError, match="cannot be a tag"):
            vault.tag(two, bad)


def test_a_version_whose_keys_were_destroyed_is_unreadable_and_says_so(vault: Vault, address: VaultAddress):
    version = commit(vault)
    vault.shelf.shred("dataset", version.name, version.digest)
    for read in (
        lambda: vault.read(version, "train"),
        lambda: vault.known_dataset("flights", version.digest),
        lambda: vault.draft_dataset("flights", version.digest),
    ):
        with pytest.raises(KeyringError, match=r"its key\.json is gone"):
            read()
    assert vault.datasets() == (version,), "what it was is still told"


def test_rewrapped_keys_open_the_same_files_and_rewrite_none(vault: Vault, address: VaultAddress):
    version = commit(vault)
    before = {path: path.read_bytes() for path in stored(address).rglob("*") if path.is_file() and path.name != "key.json"}
    keys = vault.shelf.keys("dataset", "flights", version.digest)
    ring = vault.keyring
    fresh = {scope: ring.rewrap(wrapped, context("dataset", "flights", version.digest, scope)) for scope, wrapped in keys.items()}
    vault.shelf.write_keys("dataset", "flights", version.digest, fresh)
    address.open().verify(version)
    assert before == {path: path.read_bytes() for path in stored(address).rglob("*") if path.is_file() and path.name != "key.json"}


@pytest.mark.parametrize(
    "old, new", [(b'"rows": 10,', b'"rows": 99,'), (b'"cancelled", 3', b'"cancelled", 0'), (b'"split": "test"', b'"split": "best"')]
)
def test_an_edited_manifest_is_refused(vault: Vault, address: VaultAddress, old: bytes, new: bytes):
    version = commit(vault)
    path = manifest_of(address, version)
    text = path.read_bytes()
    assert old in text
    path.write_bytes(text.replace(old, new, 1))
    with pytest.raises(TamperError, match="manifest was changed after it was signed"):
        vault.find_dataset("flights")
    with pytest.raises(TamperError):
        vault.verify(version)


def test_every_byte_of_a_manifest_counts(vault: Vault, address: VaultAddress):
    version, rng = commit(vault), random.Random(7)
    path = manifest_of(address, version)
    whole = path.read_bytes()
    for at in rng.sample(range(len(whole)), 100):
        bent = bytearray(whole)
        bent[at] ^= 1
        path.write_bytes(bytes(bent))
        with pytest.raises((TamperError, KeyringError)):
            vault.find_dataset("flights")


def test_a_manifest_of_another_version_is_refused_under_this_name(vault: Vault, address: VaultAddress):
    old, new = commit(vault, spec="s1"), commit(vault, spec="s2")
    shutil.copy(manifest_of(address, old), manifest_of(address, new))
    with pytest.raises(TamperError, match=f"its manifest belongs to the dataset flights@{old.digest[:12]}"):
        vault.find_dataset("flights", new.digest)


def test_a_whole_version_copied_under_another_name_is_refused(vault: Vault, address: VaultAddress):
    commit(vault, "flights")
    shutil.copytree(stored(address) / "datasets" / "flights", stored(address) / "datasets" / "trains")
    with pytest.raises(TamperError):
        vault.find_dataset("trains")


def test_a_model_pointer_is_no_dataset_pointer(vault: Vault, address: VaultAddress):
    commit(vault)
    vault.commit_model("flights", {"model.json": b"{}"}, {})
    shutil.copytree(
        stored(address) / "models" / "flights" / "latest", stored(address) / "datasets" / "flights" / "latest", dirs_exist_ok=True
    )
    with pytest.raises(TamperError, match="holds the pointer model"):
        vault.find_dataset("flights")


def test_a_bent_pointer_is_refused(vault: Vault, address: VaultAddress):
    old, new = commit(vault, spec="s1"), commit(vault, spec="s2")
    path = max((stored(address) / "datasets" / "flights" / "latest").iterdir())
    path.write_bytes(path.read_bytes().replace(new.digest.encode(), old.digest.encode()))
    with pytest.raises(TamperError, match="latest was changed"):
        vault.find_dataset("flights")


def test_without_its_keyring_nothing_is_read_or_written_and_no_new_one_is_made(vault: Vault, address: VaultAddress):
    version = commit(vault)
    Path(address.keyring).rename(Path(address.keyring).with_name("elsewhere"))
    for read in (lambda v: v.find_dataset("flights"), lambda v: v.read(version, "train"), lambda v: v.verify(version)):
        with pytest.raises(KeyringError, match="no keyring"):
            read(address.open())
    assert not Path(address.keyring).exists()


def test_another_keyring_reads_nothing(vault: Vault, address: VaultAddress, tmp_path: Path):
    version = commit(vault)
    stranger = VaultAddress(address.store, f"{tmp_path}/stranger/keyring.json").open()
    stranger.make_keyring()
    for read in (lambda: stranger.find_dataset("flights"), lambda: stranger.read(version, "train"), lambda: stranger.verify(version)):
        with pytest.raises(KeyringError, match="not in this keyring"):
            read()


def test_a_search_for_plain_values_finds_nothing_in_the_vault_and_all_in_plain_parquet(vault: Vault, address: VaultAddress, tmp_path: Path):
    commit(vault)
    (tmp_path / "plain").mkdir()
    pq.write_table(TRAIN, tmp_path / "plain" / "train.parquet", compression="none")
    assert found(tmp_path / "plain") == set(TAILNUMS)
    assert found(tmp_path / "home") == set()


def found(folder: Path) -> set[str]:
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    return {value for value in TAILNUMS if value.encode() in everything}


def test_every_stored_file_carries_the_mark_of_ciphertext_and_plain_parquet_does_not(vault: Vault, tmp_path: Path):
    assert vault.is_sealed(commit(vault)) and vault.is_sealed(vault.commit_model("late", {"model.json": b"{}"}, {}))
    pq.write_table(TRAIN, tmp_path / "plain.parquet")
    assert not (tmp_path / "plain.parquet").read_bytes().startswith(MAGICS)


def test_files_and_folders_are_private(vault: Vault, address: VaultAddress):
    commit(vault)
    for path in stored(address).rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_draft_travels_without_its_key(vault: Vault):
    draft = vault.draft_dataset("flights", dataset_digest("flights", LINEAGE))
    key = vault.keyring.unwrap(draft.keys["data"], context("dataset", "flights", draft.digest, "data"))
    for text in (pickle.dumps(draft), repr(draft).encode()):
        assert key.secret() not in text and key.secret().hex().encode() not in text
    again: Draft = pickle.loads(pickle.dumps(draft))
    part = again.address.open().write_part(again, "train-00000", "train", TRAIN)
    assert part.rows == 100


def test_a_model_comes_back_whole_under_the_name_of_its_content(vault: Vault):
    files = {"model.json": b'{"trees": 3}', "card.json": b"{}"}
    model = vault.commit_model("late", files, {"auc": 0.71}, lineage=(("flights", "d1"),))
    assert vault.open_model(vault.find_model("late")) == files
    assert vault.commit_model("late", dict(files), {"auc": 0.71}) == model
    assert (model.manifest.about, model.manifest.lineage) == ({"auc": 0.71}, (("flights", "d1"),))
    assert vault.models() == (model,)
    vault.verify(model)


@pytest.mark.parametrize("at", [0, 9, 45, -1])
def test_no_byte_of_a_changed_model_is_returned(vault: Vault, address: VaultAddress, at: int):
    model = vault.commit_model("late", {"card.json": b"{}", "model.json": b'{"trees": 3}'}, {})
    bend(next(stored(address).rglob("model.json-*.sealed")), at)
    for read in (vault.open_model, vault.verify):
        with pytest.raises(TamperError, match=r"part model\.json"):
            read(model)


def test_a_full_or_closed_store_is_said_in_one_sentence(address: VaultAddress, vault: Vault):
    commit(vault)
    shutil.rmtree(stored(address))
    stored(address).write_text("not a folder")
    with pytest.raises(MlrayError) as closed:
        commit(address.open())
    assert "Traceback" not in str(closed.value)
    with pytest.raises(StoreError, match="not a place mlray can store in"):
        VaultAddress("ftp://example.com/store", address.keyring).open()


def test_a_draft_asks_for_its_key_once_however_many_parts_it_has(vault: Vault, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    draft = vault.draft_dataset("rows", "e" * 64)
    unwrap = vault.keyring.unwrap

    def counted(wrapped: WrappedKey, purpose: str) -> DataKey:
        asked.append(purpose)
        return unwrap(wrapped, purpose)

    monkeypatch.setattr(vault.keyring, "unwrap", counted)
    for number in range(3):
        vault.write_part(draft, f"train-{number}", "train", pa.table({"x": [number]}))
        vault.receipt(draft, f"{number}" * 64, b"done")
    assert len(asked) == 1
