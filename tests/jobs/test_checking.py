"""Everything that would hurt is told before it does."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mlray.access.audit_store import AuditStore
from mlray.home import Home
from mlray.jobs import erasing, keeping
from mlray.jobs.certificates import vault_of
from mlray.jobs.checking import Finding, check, note_backup
from mlray.jobs.retention import Standing
from mlray.vault.kms import drop_master
from tests.jobs.sealed import everything, patients
from tests.jobs.test_keeping import services  # noqa: F401  a fixture


def hurting(home: Home) -> list[str]:
    return [f"{found.what}: {found.said}" for found in check(home) if found.hurts]


def test_a_whole_home_with_a_backup_hurts_nowhere(home: Home):
    everything(home)
    assert hurting(home) == ["backup: the keyring was never backed up: `mlray data backup` with a passphrase keeps it"]
    note_backup(home, "s3://bucket/backup")
    assert hurting(home) == []
    said = [found.what for found in check(home)]
    assert len([what for what in said if what.startswith("master ")]) == 3
    assert {"subjects of patients", "secret warehouse", "patients@aaaaaaaaaaaa", "unfinished patients@dddddddddddd"} <= set(said)


def test_a_home_without_anything_is_fine(home: Home):
    assert check(home) == (Finding("keyring", "there is none yet: the first job makes it"),)


def test_a_keyring_that_changed_since_its_backup_is_told(home: Home):
    everything(home)
    note_backup(home, "s3://bucket/backup")
    keeping.rotate(home)
    assert hurting(home) == ["backup: the keyring was changed after its last backup: `mlray data backup` with a passphrase keeps it"]


def test_a_lost_keyring_a_lost_scope_and_open_modes_are_told(home: Home):
    vault = everything(home)
    note_backup(home, "x")
    master = vault.keyring.current("secret").id
    drop_master(home.keyring, master)
    assert "patients@aaaaaaaaaaaa: no master key of scope secret for it in this keyring" in hurting(home)
    home.root.chmod(0o755)
    assert any("others can enter" in said for said in hurting(home))
    home.keyring.chmod(0o644)
    assert len(hurting(home)) == 1 and "others can read it" in hurting(home)[0]
    home.keyring.unlink()
    assert hurting(home) == [f"keyring: {home.keyring}: no keyring"]


def test_changed_keys_and_lost_keys_are_told_and_destroyed_ones_are_not(home: Home):
    everything(home)
    note_backup(home, "x")
    version = patients(home, "cc")
    erasing.destroy(home, vault_of(home), Standing(patients(home, "bb").manifest), "asked for")
    assert hurting(home) == []
    file = home.root / f"store/datasets/patients/{version.digest}/key.json"
    file.unlink()
    assert hurting(home) == ["patients@cccccccccccc: its key.json is gone: restore it from a backup"]


@pytest.mark.parametrize("state", ["Disabled", "PendingDeletion"])
def test_a_master_in_a_service_that_will_be_gone_is_told(home: Home, services: dict[str, tuple[str, str]], state: str):  # noqa: F811
    import boto3

    key, address = services["aws-kms"]
    everything(home)
    keeping.use(home, "aws-kms", key, "personal", address)
    note_backup(home, "x")
    assert hurting(home) == []
    client = boto3.client("kms", endpoint_url=address)
    client.disable_key(KeyId=key) if state == "Disabled" else client.schedule_key_deletion(KeyId=key)
    assert [said for said in hurting(home) if f"is in state {state}" in said]


def test_the_audit_record_is_read_again_and_its_head_told(home: Home):
    everything(home)
    note_backup(home, "x")
    keeping.rotate(home)
    head = AuditStore(home.database).head()
    assert Finding("audit record", f"whole; its head is {head}") in check(home)
    with sqlite3.connect(home.root / "mlray.db") as forger:
        forger.execute("DROP TRIGGER audit_entries_no_update")
        forger.execute("UPDATE audit_entries SET body = replace(body, 'rotate', 'nothin')")
    assert "audit record: audit entry 1 was changed after it was written" in hurting(home)


def test_a_check_tells_of_a_changed_key_file_without_stopping(home: Home):
    everything(home)
    (file,) = Path(home.root / "store/models/risk").rglob("key.json")
    file.write_bytes(file.read_bytes().replace(b'"data"', b'"date"'))
    assert any("key.json" in said for said in hurting(home))
