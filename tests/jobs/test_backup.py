"""A backup gives back everything or refuses; what was destroyed since is not in the next one."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlray.access.audit_store import AuditStore
from mlray.errors import KeyringError, MlrayError, SpecError, StoreError, TamperError
from mlray.home import Home
from mlray.jobs import erasing, keeping
from mlray.jobs.backup import backup
from mlray.jobs.certificates import vault_of
from mlray.jobs.checking import check
from mlray.jobs.restore import restore
from mlray.jobs.retention import Standing
from mlray.vault.secrets import Secrets
from tests.jobs.sealed import TABLE, everything, patients
from tests.vault import s3

ROOT = Path(__file__).parents[2]
PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    return tmp_path / "backup"


@pytest.fixture
def new(tmp_path: Path) -> Home:
    return Home.at(tmp_path / "new home")


def whole(home: Home) -> bool:
    vault = vault_of(home)
    assert vault.read(vault.find_dataset("patients", "aa"), "train").sort_by("age").equals(TABLE)
    assert vault.open_model(vault.find_model("risk"))["model.ubj"] == b"trees" * 1000
    assert Secrets(vault).get("warehouse") == "p4ss"
    return True


def test_a_home_comes_back_in_another_place(home: Home, there: Path, new: Home):
    everything(home)
    keeping.rotate(home)
    done = backup(home, str(there), PASSPHRASE)
    assert (done.keyring, done.database, done.notes, done.copied) == (True, True, (), done.files)
    shutil.rmtree(home.root)
    back = restore(str(there), new, PASSPHRASE)
    assert whole(new) and (back.files, back.versions) == (done.files, 2)
    assert [entry.deed.did for entry in AuditStore(new.database).entries()] == ["rotate", "restore"] and back.entries == 1
    assert not [found for found in check(new) if found.hurts]
    assert new.keyring.stat().st_mode & 0o077 == 0


def test_nothing_in_a_backup_can_be_read_without_the_passphrase(home: Home, there: Path):
    everything(home)
    backup(home, str(there), PASSPHRASE)
    secrets = [entry["secret"] for entry in json.loads(home.keyring.read_text())["masters"]]
    for file in filter(Path.is_file, there.rglob("*")):
        data = file.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in data or bytes.fromhex(secret) in data]
        assert b"SQLite format" not in data and b"case-1" not in data and file.stat().st_mode & 0o077 == 0


def test_a_second_backup_copies_what_is_new(home: Home, there: Path, new: Home):
    everything(home)
    first = backup(home, str(there), PASSPHRASE)
    patients(home, "bb")
    second = backup(home, str(there), PASSPHRASE)
    # A part, a manifest, keys, a moved pointer; and the keyring and the database, which never seal to the same bytes.
    assert second.files > first.files and second.copied <= 8
    restore(str(there), new, PASSPHRASE)
    assert whole(new) and vault_of(new).find_dataset("patients", "bb")


def test_what_was_destroyed_is_not_in_the_next_backup(home: Home, there: Path, new: Home):
    everything(home)
    patients(home, "bb", keep="1d")
    keys = [file.read_bytes() for file in home.root.rglob("key.json") if "b" * 64 in str(file)]
    backup(home, str(there), PASSPHRASE)
    erasing.erase(home, "patients", "ada")
    version = next(v for v in vault_of(home).datasets() if v.digest == "bb" * 32)
    erasing.destroy(home, vault_of(home), Standing(version.manifest), "asked for")
    assert backup(home, str(there), PASSPHRASE).removed > 0
    held = [file.read_bytes() for file in there.rglob("*") if file.is_file()]
    assert len(keys) == 1 and keys[0] not in held
    restore(str(there), new, PASSPHRASE)
    assert vault_of(new).read(vault_of(new).find_dataset("patients", "aa"), "train", ["diagnosis"])["diagnosis"].to_pylist()[0] is None


def test_without_a_passphrase_it_says_that_the_keyring_is_not_in_it(home: Home, there: Path, new: Home, tmp_path: Path):
    everything(home)
    done = backup(home, str(there))
    assert not done.keyring and str(home.keyring) in done.notes[0] and "nothing in it can be read" in done.notes[0]
    assert any(found.hurts for found in check(home) if found.what == "backup")
    with pytest.raises(KeyringError, match="the backup holds no keyring"):
        restore(str(there), new, PASSPHRASE)
    shutil.copyfile(home.keyring, tmp_path / "kept.json")
    restore(str(there), new, keyring=tmp_path / "kept.json")
    assert whole(new)


def test_a_wrong_passphrase_or_keyring_restores_nothing(home: Home, there: Path, new: Home, tmp_path: Path):
    everything(home)
    backup(home, str(there), PASSPHRASE)
    for wrong in ("incorrect horse", None):
        with pytest.raises(KeyringError):
            restore(str(there), new, wrong)
        assert not new.keyring.exists()
    other = Home.at(tmp_path / "other")
    everything(other)
    with pytest.raises(KeyringError, match="not in this keyring"):
        restore(str(there), new, keyring=other.keyring)
    assert not (new.root / "store").exists()


def test_every_changed_or_lost_file_of_a_backup_is_refused(home: Home, there: Path, tmp_path: Path):
    everything(home)
    backup(home, str(there), PASSPHRASE)
    chance, files = random.Random(7), sorted(file for file in there.rglob("*") if file.is_file())
    sealed = json.loads((there / "backup.json").read_bytes().split(b"\n")[0])["files"]["keyring"][1]
    for number, file in enumerate(files):
        before = file.read_bytes()
        bent = bytearray(before)
        bent[chance.randrange(len(bent))] ^= 1 << chance.randrange(8)
        for data in (bytes(bent), before[: len(before) // 2], None):
            file.unlink() if data is None else file.write_bytes(data)
            target = Home.at(tmp_path / f"target-{number}")
            with pytest.raises(MlrayError) as refused:
                restore(str(there), target, PASSPHRASE if file.name == sealed else None, None if file.name == sealed else home.keyring)
            assert isinstance(refused.value, (TamperError, KeyringError, SpecError)), refused.value
            assert not list((target.root / "store").rglob("manifest.json")) or "backup" in str(refused.value)
            shutil.rmtree(target.root, ignore_errors=True)
        file.write_bytes(before)
    assert restore(str(there), Home.at(tmp_path / "last"), PASSPHRASE).versions == 2


def test_an_index_of_another_backup_does_not_fit(home: Home, there: Path, new: Home):
    everything(home)
    backup(home, str(there), PASSPHRASE)
    line, signature, _ = (there / "backup.json").read_bytes().split(b"\n")
    value = json.loads(line)
    value["files"] = {file: stored for file, stored in value["files"].items() if "secrets" not in file}
    (there / "backup.json").write_bytes(json.dumps(value, sort_keys=True).encode() + b"\n" + signature + b"\n")
    with pytest.raises(TamperError, match=r"backup.json was changed after it was signed"):
        restore(str(there), new, PASSPHRASE)


def test_a_home_in_use_is_not_overwritten(home: Home, there: Path, new: Home):
    everything(home)
    backup(home, str(there), PASSPHRASE)
    with pytest.raises(StoreError, match="restored into an empty home"):
        restore(str(there), home, PASSPHRASE)
    patients(new)
    new.keyring.unlink()
    with pytest.raises(StoreError, match="restored into an empty home"):
        restore(str(there), new, PASSPHRASE)


def test_a_place_without_a_backup_and_a_place_in_the_store_are_refused(home: Home, tmp_path: Path, new: Home):
    everything(home)
    with pytest.raises(SpecError, match="holds no backup"):
        restore(str(tmp_path), new, PASSPHRASE)
    with pytest.raises(SpecError, match="lies in the store"):
        backup(home, str(home.root / "store" / "backup"), PASSPHRASE)
    with pytest.raises(SpecError, match="holds other things"):
        backup(home, str(tmp_path))
    with pytest.raises(SpecError, match="fewer than 12"):
        backup(home, str(tmp_path / "b"), "hunter2")


def test_an_object_store_takes_and_gives_a_backup(home: Home, new: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    everything(home)
    with s3.running() as place:
        there = s3.uri(place, "backups/one")
        first = backup(home, there, PASSPHRASE)
        assert backup(home, there, PASSPHRASE).copied < first.copied
        restore(there, new, PASSPHRASE)
    assert whole(new)


KILLED = """
import os, signal, sys
from pathlib import Path
from mlray.home import Home
from mlray.jobs import backup, restore
from mlray.vault.blobs import Blobs
left, write = [int(sys.argv[4])], Blobs._write_file
def dying(self, *given, **named):
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    return write(self, *given, **named)
Blobs._write_file = dying
home = Home.at(sys.argv[2])
backup.backup(home, sys.argv[3]) if sys.argv[1] == "backup" else restore.restore(sys.argv[3], home, keyring=Path(sys.argv[5]))
"""


def killed(what: str, home: Home, there: Path, writes: int, keyring: Path) -> int:
    command = [sys.executable, "-c", KILLED, what, str(home.root), str(there), str(writes), str(keyring)]
    return subprocess.run(command, cwd=ROOT, env=os.environ | home.environment(), timeout=120).returncode


@pytest.mark.parametrize("writes", [0, 3, 9])
def test_a_backup_that_was_killed_goes_on_and_left_the_older_one_whole(home: Home, there: Path, tmp_path: Path, writes: int):
    everything(home)
    backup(home, str(there))
    for digest in ("bb", "cc", "ee"):
        patients(home, digest)
    assert killed("backup", home, there, writes, home.keyring) == -signal.SIGKILL
    old = Home.at(tmp_path / "old")
    assert restore(str(there), old, keyring=home.keyring).versions == 2 and whole(old)
    done = backup(home, str(there))
    assert done.copied < done.files - 5
    newer = Home.at(tmp_path / "newer")
    assert restore(str(there), newer, keyring=home.keyring).versions == 5 and whole(newer)


@pytest.mark.parametrize("writes", [0, 2, 6])
def test_a_restore_that_was_killed_goes_on(home: Home, there: Path, new: Home, writes: int):
    everything(home)
    backup(home, str(there))
    assert killed("restore", new, there, writes, home.keyring) == -signal.SIGKILL
    assert restore(str(there), new, keyring=home.keyring).versions == 2 and whole(new)
    with pytest.raises(StoreError, match="empty home"):
        restore(str(there), new, keyring=home.keyring)
