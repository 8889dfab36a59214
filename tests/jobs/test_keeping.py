"""Masters move, and everything they wrapped stays readable at every moment, without a byte of data rewritten."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlray.access.audit_store import AuditStore
from mlray.errors import KeyringError, MlrayError, SpecError
from mlray.home import Home
from mlray.jobs import keeping
from mlray.jobs.certificates import vault_of
from mlray.vault.holdings import Holdings
from mlray.vault.keyring import SCOPES, Scope
from mlray.vault.opened import context
from mlray.vault.remote import RECENT
from mlray.vault.secrets import Secrets
from tests.jobs.sealed import TABLE, everything, patients
from tests.vault.services import TOKEN, Transit, closed_address, kms_server, transit_server

ROOT = Path(__file__).parents[2]


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, tuple[str, str]]]:
    """Kind -> key and address."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "VAULT_TOKEN": TOKEN,
    }.items():
        monkeypatch.setenv(name, value)
    engine = Transit()
    engine.answer("POST", "/v1/transit/encrypt/mlray", TOKEN, {"plaintext": ""})
    RECENT.clear()
    with kms_server() as kms, transit_server(engine) as bao:
        import boto3

        yield {"aws-kms": (boto3.client("kms", endpoint_url=kms).create_key()["KeyMetadata"]["KeyId"], kms), "transit": ("mlray", bao)}


def data(home: Home) -> dict[str, str]:
    """Every file of the store that rotation must not touch, by digest."""
    store = home.root / "store"
    files = [
        file for file in store.rglob("*") if file.is_file() and file.name != "key.json" and not {"subjects", "secrets"} & set(file.parts)
    ]
    return {str(file.relative_to(store)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def reads(home: Home) -> bool:
    """Opens one of each kind, in a keyring opened now."""
    vault = vault_of(home)
    assert vault.read(vault.find_dataset("patients", "aa"), "train").sort_by("age").equals(TABLE)
    assert vault.open_model(vault.find_model("risk"))["model.ubj"] == b"trees" * 1000
    assert Secrets(vault).get("warehouse") == "p4ss"
    return True


def wrapping(home: Home, scope: Scope) -> set[str]:
    return {key.key for holding in Holdings(vault_of(home)).all() for key in holding.keys if key.scope == scope}


@pytest.mark.parametrize("scope", SCOPES)
def test_a_rotation_wraps_everything_anew_and_rewrites_no_data(home: Home, scope: Scope):
    everything(home)
    before, pseudonym = data(home), vault_of(home).keyring.pseudonym_key("a").secret()
    moved = keeping.rotate(home, scope)
    assert moved.made and moved.before != moved.master
    assert data(home) == before and reads(home)
    assert wrapping(home, scope) <= {moved.master} and vault_of(home).keyring.current(scope).id == moved.master
    assert vault_of(home).keyring.pseudonym_key("a").secret() == pseudonym
    deed = AuditStore(home.database).entries()[-1].deed
    assert (deed.did, deed.to, deed.facts["before"], deed.facts["rewrapped"]) == ("rotate", moved.master, moved.before, moved.rewrapped)


def test_the_old_master_is_retired_once_it_wraps_nothing(home: Home):
    everything(home)
    old = vault_of(home).keyring.current("data").id
    with pytest.raises(KeyringError, match="is the one that wraps in scope data"):
        keeping.retire(home, old)
    moved = keeping.rotate(home)
    kept = (home.root / "store").joinpath("models/risk")
    (key_file,) = kept.rglob("key.json")
    assert keeping.retire(home, old).wraps == 0
    assert old not in home.keyring.read_text() and reads(home) and key_file.exists()
    with pytest.raises(KeyringError, match=f"no master key {old}"):
        keeping.retire(home, old)
    assert {row.id for row in keeping.listing(home) if row.current and row.scope == "data"} == {moved.master}


def test_a_master_that_still_wraps_something_is_not_retired(home: Home):
    everything(home)
    late = vault_of(home)  # a process that opened its keyring before the rotation
    assert late.keyring.masters
    moved = keeping.rotate(home)
    _, wrapped = late.keyring.new_key(context("dataset", "patients", "ee" * 32, "data"))
    late.shelf.claim_keys("dataset", "patients", "ee" * 32, {"data": wrapped})
    with pytest.raises(KeyringError, match=r"still wraps unfinished patients@eeeeeeeeeeee") as refused:
        keeping.retire(home, moved.before)
    assert "keys rotate --scope data" in refused.value.hint
    again = keeping.rotate(home)
    assert (again.made, again.rewrapped, again.master) == (False, 1, moved.master)  # finishes, and makes no other master
    keeping.retire(home, moved.before)


def test_a_reader_that_opened_its_keyring_before_goes_on_reading(home: Home):
    everything(home)
    reader = vault_of(home)
    version = reader.find_dataset("patients", "aa")
    stop, read, failed = threading.Event(), [0], list[str]()

    def go_on() -> None:
        while not stop.is_set():
            try:
                assert reader.read(version, "train", ["age"]).num_rows == 6
                read[0] += 1
            except (MlrayError, AssertionError) as wrong:
                failed.append(repr(wrong))

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        for scope in (*SCOPES, *SCOPES):
            keeping.rotate(home, scope)
    finally:
        stop.set()
        thread.join(60)
    assert read[0] > 0 and not failed


ROTATE = """
import sys
from mlray.home import Home
from mlray.jobs import keeping
from mlray.vault.blobs import Blobs
left, write = [int(sys.argv[1])], Blobs._write_file
def dying(self, *given, **named):
    if left[0] == 0:
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    return write(self, *given, **named)
Blobs._write_file = dying
keeping.rotate(Home.locate())
"""


@pytest.mark.parametrize("writes", range(5))
def test_a_rotation_killed_between_any_two_keys_is_finished_by_the_next(home: Home, writes: int):
    everything(home)
    before = data(home)
    killed = subprocess.run([sys.executable, "-c", ROTATE, str(writes)], cwd=ROOT, env=os.environ | home.environment(), timeout=120)
    assert killed.returncode == (-signal.SIGKILL if writes < 4 else 0)
    assert reads(home) and data(home) == before
    masters = [row.id for row in keeping.listing(home) if row.scope == "data"]
    assert len(masters) == 2
    if writes < 4:
        assert not keeping.rotate(home).made
    assert wrapping(home, "data") == {masters[1]} and reads(home) and data(home) == before
    keeping.retire(home, masters[0])


@pytest.mark.parametrize("kind", ["aws-kms", "transit"])
def test_a_home_moves_to_a_service_and_then_keeps_no_secret(home: Home, services: dict[str, tuple[str, str]], kind: keeping.Kind):
    everything(home)
    before, (key, address) = data(home), services[kind]
    for scope in SCOPES:
        moved = keeping.use(home, kind, key, scope, address)
        assert moved.made and moved.master.startswith(f"{scope}:{kind}:")
        keeping.retire(home, moved.before)
    assert data(home) == before and reads(home)
    value = json.loads(home.keyring.read_text())
    assert '"secret":' not in home.keyring.read_text() and all("wrapped" in value[name] for name in ("signing", "pseudonyms"))
    again = keeping.use(home, kind, key, "data", address)
    assert (again.made, again.rewrapped) == (False, 0)
    rotated = keeping.rotate(home)
    assert rotated.made and rotated.master.endswith("#2") and wrapping(home, "data") == {rotated.master} and reads(home)
    keeping.retire(home, rotated.before)
    back = keeping.use(home, "local", scope="data")
    assert reads(home) and [row.kind for row in keeping.listing(home) if row.id == back.master] == ["local"]


def test_a_fresh_home_that_uses_a_service_never_keeps_a_local_master(home: Home, services: dict[str, tuple[str, str]]):
    for scope in SCOPES:
        keeping.use(home, "transit", "mlray", scope, services["transit"][1])
    assert '"secret":' not in home.keyring.read_text()
    patients(home)
    assert len(keeping.listing(home)) == 3


def test_a_service_that_cannot_be_used_changes_nothing(home: Home, services: dict[str, tuple[str, str]]):
    everything(home)
    before, address = home.keyring.read_text(), closed_address()
    with pytest.raises(KeyringError, match="does not answer"):
        keeping.use(home, "transit", "mlray", "data", address)
    with pytest.raises(KeyringError, match="has no such key"):
        keeping.use(home, "aws-kms", "nobody", "data", services["aws-kms"][1])
    for wrong in ({"kind": "aws-kms"}, {"kind": "hsm"}, {"kind": "local", "scope": "public"}):
        with pytest.raises(SpecError):
            keeping.use(home, **wrong)  # type: ignore[arg-type]
    assert home.keyring.read_text() == before and reads(home)


def test_a_service_that_does_not_bind_what_a_key_is_for_is_refused(home: Home, services: dict[str, tuple[str, str]]):
    everything(home)

    class Careless(Transit):
        def answer(self, method: str, path: str, token: str | None, body: dict[str, object]):
            return super().answer(method, path, token, {name: value for name, value in body.items() if name != "associated_data"})

    engine = Careless()
    engine.answer("POST", "/v1/transit/encrypt/mlray", TOKEN, {"plaintext": ""})
    with transit_server(engine) as address, pytest.raises(KeyringError, match="opens a key for what it was not made for"):
        keeping.use(home, "transit", "mlray", "data", address)


def test_an_exported_keyring_reads_its_scopes_and_signs_nothing(home: Home, tmp_path: Path):
    everything(home)
    tmp_path.chmod(0o755)
    keeping.export(home, tmp_path / "reader.json", ["data"])
    assert tmp_path.stat().st_mode & 0o777 == 0o755 and (tmp_path / "reader.json").stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeyringError, match="cannot be written"):
        keeping.export(home, tmp_path / "reader.json" / "reader.json", ["data"])
    reader = type(vault_of(home).address)(home.store, str(tmp_path / "reader.json")).open()
    version = reader.find_dataset("patients", "aa")
    assert reader.read(version, "train").column_names == ["age"]
    with pytest.raises(KeyringError, match="personal"):
        reader.read(version, "train", ["diagnosis"])
    with pytest.raises(KeyringError, match="only reads"):
        reader.commit_model("forged", {"a": b""}, {})
    with pytest.raises(KeyringError, match="pseudonym"):
        reader.keyring.pseudonym_key("a")
    with pytest.raises(KeyringError, match="there is a keyring already"):
        keeping.export(home, tmp_path / "reader.json", ["data"])
    keeping.export(home, tmp_path / "both.json", ["data", "personal"])
    assert type(reader.address)(home.store, str(tmp_path / "both.json")).open().read(version, "train").num_columns == 3
    for wrong in ([], ["public"]):
        with pytest.raises(SpecError):
            keeping.export(home, tmp_path / "x.json", wrong)  # type: ignore[arg-type]


def test_a_listing_says_what_each_master_wraps(home: Home):
    everything(home)
    rows = keeping.listing(home)
    assert [(row.scope, row.kind, row.current) for row in rows] == [(scope, "local", True) for scope in SCOPES]
    assert [row.wraps for row in rows] == [4, 4, 3]  # data: 2 versions, a draft, a secret; personal: the subjects' state instead
