"""A secret comes back by its name, and shows nowhere else."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mlray.errors import KeyringError, MlrayError, SpecError, TamperError
from mlray.vault.kms import changing, local_entry
from mlray.vault.secrets import Secrets
from mlray.vault.store import Vault, VaultAddress

VALUE = "pässword-0815"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return VaultAddress(f"file://{tmp_path}/home/store", f"{tmp_path}/home/keyring.json").open()


@pytest.fixture
def secrets(vault: Vault) -> Secrets:
    return Secrets(vault)


def test_a_secret_comes_back_in_another_process(secrets: Secrets, vault: Vault):
    secrets.set("warehouse", "first")
    secrets.set("warehouse", VALUE)
    secrets.set("kafka-token", "x")
    again = Secrets(vault.address.open())
    assert again.get("warehouse") == VALUE and again.list() == ("kafka-token", "warehouse")
    again.remove("warehouse")
    assert secrets.list() == ("kafka-token",)


def test_the_environment_comes_first(secrets: Secrets, monkeypatch: pytest.MonkeyPatch):
    secrets.set("kafka-token", "sealed")
    monkeypatch.setenv("MLRAY_SECRET_KAFKA_TOKEN", "given")
    assert secrets.get("kafka-token") == "given"


@pytest.mark.parametrize("ask", ["get", "remove"])
def test_an_absent_secret_says_how_to_set_it(secrets: Secrets, ask: str):
    with pytest.raises(SpecError, match="there is no secret nobody") as refused:
        getattr(secrets, ask)("nobody")
    assert ask == "remove" or "MLRAY_SECRET_NOBODY" in refused.value.hint


@pytest.mark.parametrize("name", ["", "../keyring", "a/b", "-a", "a b", "a.sealed"])
def test_a_name_that_could_be_a_path_is_refused(secrets: Secrets, name: str):
    with pytest.raises(SpecError, match="cannot name a secret"):
        secrets.set(name, "x")


def test_nothing_of_the_value_is_stored_or_told(secrets: Secrets, vault: Vault, caplog: pytest.LogCaptureFixture, tmp_path: Path):
    caplog.set_level(logging.DEBUG)
    secrets.set("warehouse", VALUE)
    (file,) = (tmp_path / "home/store/secrets").iterdir()
    assert VALUE.encode() not in file.read_bytes() and VALUE not in repr(secrets) + caplog.text
    assert file.stat().st_mode & 0o077 == 0


def test_a_changed_or_moved_secret_is_refused(secrets: Secrets, tmp_path: Path):
    secrets.set("one", VALUE)
    secrets.set("two", "x")
    folder = tmp_path / "home/store/secrets"
    one = (folder / "one.sealed").read_bytes()
    for bent in (one[:-1] + bytes([one[-1] ^ 1]), one[:50], b"", (folder / "two.sealed").read_bytes()):
        (folder / "one.sealed").write_bytes(bent)
        with pytest.raises((TamperError, KeyringError)) as refused:
            secrets.get("one")
        assert isinstance(refused.value, MlrayError) and VALUE not in str(refused.value)


def test_rotation_wraps_its_key_anew_and_leaves_the_sealed_value(secrets: Secrets, vault: Vault, tmp_path: Path):
    secrets.set("warehouse", VALUE)
    file = tmp_path / "home/store/secrets/warehouse.sealed"
    before = file.read_bytes()
    with changing(Path(vault.address.keyring)) as value:
        value["masters"].append(local_entry("data"))
    opened = vault.address.open()
    again = Secrets(opened)
    assert again.rewrap("warehouse", opened.keyring) == opened.keyring.current("data").id
    assert again.get("warehouse") == VALUE
    assert file.read_bytes().partition(b"\n")[2] == before.partition(b"\n")[2] and file.read_bytes() != before
    assert again.rewrap("nobody", opened.keyring) is None
