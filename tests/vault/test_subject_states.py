"""An erasure holds: against another at the same moment, and against an older state put back."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from mlray.errors import KeyringError, TamperError
from mlray.vault.by_subject import Subjects
from mlray.vault.store import Vault, VaultAddress
from mlray.vault.subjects import SubjectKeys
from mlray.vault.version import DatasetVersion, dataset_digest

TABLE = pa.table({"who": ["ada", "bob", "ada"], "delay": pa.array([1, 2, 3], pa.int64())})


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    vault = VaultAddress(f"file://{tmp_path}/store", f"{tmp_path}/keyring.json").open()
    vault.make_keyring()
    return vault


def commit(vault: Vault) -> DatasetVersion:
    draft = vault.draft_dataset("flights", dataset_digest("flights", ()))
    subjects = Subjects(TABLE["who"], vault.subject_keys("flights"))
    part = vault.write_part(draft, "train-00000", "train", TABLE, sealed={"who": "personal", "delay": "personal"}, subjects=subjects)
    return vault.commit_dataset(draft, [part], schema=TABLE.schema, lineage=())


def erase(vault: Vault, name: str) -> None:
    """As another process does."""
    vault.address.open().subjects.change("flights", lambda state: state.erase(name))


def folder(tmp_path: Path) -> Path:
    return tmp_path / "store" / "datasets" / "flights" / "subjects"


def test_an_erased_subject_is_null_in_versions_that_were_committed_long_ago(vault: Vault):
    version = commit(vault)
    assert vault.read(version, "train").equals(TABLE)
    vault.subjects.change("flights", lambda state: state.erase("ada"))
    again = vault.address.open()
    assert again.read(version, "train").to_pydict() == {"who": [None, "bob", None], "delay": [None, 2, None]}
    again.verify(version)


def test_of_two_erasures_at_once_both_hold(vault: Vault, tmp_path: Path):
    vault.subject_keys("flights")
    names = [f"p{i}" for i in range(8)]
    with ThreadPoolExecutor(8) as many:
        list(many.map(lambda name: vault.address.open().subjects.change("flights", lambda state: state.erase(name)), names))
    assert vault.address.open().subject_keys("flights").keys([*names, "q"])[:8] == [None] * 8
    assert vault.subject_keys("flights").key("q") is not None
    assert len(list(folder(tmp_path).iterdir())) == 1, "older states are destroyed"


def test_an_erasure_that_others_overtook_twice_is_done_again(vault: Vault, tmp_path: Path):
    """The number after the one it began from was taken, destroyed, and so free again."""
    vault.subject_keys("flights")
    others = ["bob", "cid"]

    def step(state: SubjectKeys) -> SubjectKeys:
        while others:
            erase(vault, others.pop())
        return state.erase("ada")

    vault.subjects.change("flights", step)
    assert vault.address.open().subject_keys("flights").keys(["ada", "bob", "cid"]) == [None] * 3
    assert len(list(folder(tmp_path).iterdir())) == 1


def test_an_older_state_put_back_is_noticed(vault: Vault, tmp_path: Path):
    version = commit(vault)
    shutil.copytree(folder(tmp_path), tmp_path / "before")
    vault.subjects.change("flights", lambda state: state.erase("ada"))
    shutil.rmtree(folder(tmp_path))
    for harm in (lambda: None, lambda: shutil.copytree(tmp_path / "before", folder(tmp_path))):
        harm()
        with pytest.raises(TamperError, match="flights: the keys of its subjects"):
            vault.address.open().read(version, "train")


def test_a_home_that_saw_no_state_makes_none_by_reading(vault: Vault, tmp_path: Path):
    version = commit(vault)
    shutil.rmtree(folder(tmp_path))
    shutil.rmtree(tmp_path / "witness")
    with pytest.raises(KeyringError, match="flights: the keys of its subjects are gone"):
        vault.address.open().read(version, "train")
    assert not folder(tmp_path).exists()


def test_a_state_bent_or_renamed_is_refused(vault: Vault, tmp_path: Path):
    vault.subject_keys("flights")
    (file,) = folder(tmp_path).iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b'"of"', b'"oF"'))
    with pytest.raises(TamperError, match="keys of its subjects"):
        vault.address.open().subject_keys("flights")
    file.write_bytes(whole)
    file.rename(file.with_name("000000000007"))
    with pytest.raises(TamperError, match="were made for"):
        vault.address.open().subject_keys("flights")
