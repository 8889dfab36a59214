"""Writers and removers at the same time: a version is whole or absent, whoever comes first."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from mlray.errors import MlrayError, StoreError
from mlray.vault import broom, living
from mlray.vault.store import Draft, Vault, VaultAddress
from mlray.vault.version import DatasetVersion, Part, dataset_digest

TABLE = pa.table({"n": pa.array(range(100), pa.int64())})


@pytest.fixture
def address(tmp_path: Path) -> VaultAddress:
    found = VaultAddress(f"file://{tmp_path}/store", f"{tmp_path}/keyring.json")
    found.open().make_keyring()
    return found


def digest(spec: str) -> str:
    return dataset_digest("flights", (("spec", spec),))


def commit(vault: Vault, spec: str, run: str = "", parts: int = 3) -> DatasetVersion:
    draft = vault.draft_dataset("flights", digest(spec))
    made = [vault.write_part(draft, f"train-{i:05d}", "train", TABLE, work=run) for i in range(parts)]
    vault.receipt(draft, f"w{run}", b"done")
    return vault.commit_dataset(draft, made, schema=TABLE.schema, lineage=(("spec", spec),))


def stored(address: VaultAddress) -> list[Path]:
    return list(Path(address.store.removeprefix("file://")).rglob("*.parquet"))


def _run(address: VaultAddress, run: int, barrier, said) -> None:
    barrier.wait(60)
    version = commit(address.open(), "same", str(run))
    said.put({part.work for part in version.manifest.parts})


def test_of_six_runs_that_make_one_version_at_once_one_counts_and_nothing_else_is_left(address: VaultAddress):
    many = multiprocessing.get_context("fork")
    barrier, said = many.Barrier(6), many.Queue()
    runs = [many.Process(target=_run, args=(address, number, barrier, said)) for number in range(6)]
    for run in runs:
        run.start()
    answers = [said.get(timeout=60) for _ in runs]
    for run in runs:
        run.join(60)
    assert all(answer == answers[0] and len(answer) == 1 for answer in answers), "each was told of the same run's parts"
    vault = address.open()
    (version,) = vault.datasets()
    vault.verify(version)
    commit(vault, "same")  # whoever comes later sweeps what a slower run wrote after the first commit
    assert len(stored(address)) == 3
    assert not list(Path(address.store.removeprefix("file://")).rglob("done/*"))


def _finish(address: VaultAddress, draft: Draft, parts: Sequence[Part], pause_s: float) -> DatasetVersion | None:
    """Commits; None when what it names was removed meanwhile."""
    time.sleep(pause_s)
    try:
        return address.open().commit_dataset(draft, parts, schema=TABLE.schema, lineage=())
    except StoreError as gone:
        assert "meanwhile" in gone.hint
        return None


def _later(act: Callable[[], None], pause_s: float) -> None:
    time.sleep(pause_s)
    act()


def test_a_version_shared_from_while_its_origin_is_pruned_is_whole_or_absent(address: VaultAddress):
    outcomes = set()
    for seed in range(40):
        dice, vault = random.Random(seed), address.open()
        old, _ = commit(vault, f"old{seed}"), commit(vault, f"latest{seed}", parts=1)
        draft = vault.draft_dataset("flights", digest(f"new{seed}"))
        shared = [vault.share_part(draft, part, old) for part in old.manifest.parts]
        with ThreadPoolExecutor(2) as two:
            made = two.submit(_finish, address, draft, shared, dice.random() * 0.01)
            two.submit(_later, partial(address.open().prune, old), dice.random() * 0.01).result()
            version = made.result()
        outcomes.add(version is None)
        assert (version is not None) == vault.shelf.exists("dataset", "flights", draft.digest)
        if version is not None:
            vault.verify(version)
            vault.tag(version, "held")
        for done in vault.datasets()[:-1]:
            if done.digest not in vault.tags("flights").values():
                vault.prune(done)  # else each round lists more than the last
    assert outcomes == {True, False}, "both orders were met"


def test_a_draft_discarded_while_another_run_commits_it_is_whole_or_absent(address: VaultAddress):
    for seed in range(40):
        dice, vault = random.Random(seed), address.open()
        draft = vault.draft_dataset("flights", digest(f"d{seed}"))
        parts = [vault.write_part(draft, "train-00000", "train", TABLE)]
        with ThreadPoolExecutor(2) as two:
            made = two.submit(_finish, address, draft, parts, dice.random() * 0.004)
            two.submit(_later, partial(address.open().discard, draft), dice.random() * 0.004).result()
            assert (made.result() is not None) == vault.shelf.exists("dataset", "flights", draft.digest)
        if version := made.result():
            vault.verify(version)


def test_a_mark_left_by_a_process_that_died_holds_nobody_up_for_long(address: VaultAddress, monkeypatch: pytest.MonkeyPatch):
    vault = address.open()
    commit(vault, "first")
    mark = Path(address.store.removeprefix("file://")) / "datasets/flights/removing/dead"
    mark.parent.mkdir(exist_ok=True)
    mark.write_bytes(b"")
    monkeypatch.setattr(broom, "PATIENCE_S", 0.2)
    with pytest.raises(MlrayError, match="are being removed"):
        commit(vault, "second")
    os.utime(mark, (time.time() - 3600, time.time() - 3600))
    vault.verify(commit(vault, "second"))


def test_a_mark_of_a_process_of_this_machine_that_was_killed_holds_nobody_up(address: VaultAddress):
    vault = address.open()
    commit(vault, "first")
    mark = Path(address.store.removeprefix("file://")) / "datasets/flights/removing/killed"
    mark.parent.mkdir(exist_ok=True)
    machine, pid, started = living.myself().decode().split()
    mark.write_text(f"{machine} {pid} {int(started) - 1}")
    vault.verify(commit(vault, "second"))
