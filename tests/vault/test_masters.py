"""One contract for every kind of master key: in this process, in AWS KMS, in Vault's transit engine."""

from __future__ import annotations

import base64
import logging
import os
import pickle
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

import pytest

from mlray.errors import KeyringError
from mlray.vault.aws import AwsMaster
from mlray.vault.keyring import DataKey, Keyring, Master, Scope, WrappedKey
from mlray.vault.masters import LocalMaster
from mlray.vault.remote import Recent
from mlray.vault.signing import SigningKey
from mlray.vault.transit import TransitMaster
from tests.vault.services import TOKEN, Transit, closed_address, kms_server, refusing_kms, silent_server, transit_server

SECRET = bytes(range(7, 39))
PURPOSE = "mlray data key of dataset flights@1#data"


class Kind(Protocol):
    """Makes masters of one kind."""

    def master(self, scope: Scope = "data") -> Master: ...
    def rotated(self, master: Master) -> Master: ...


class Local:
    def master(self, scope: Scope = "data") -> Master:
        return LocalMaster(DataKey(os.urandom(32)), scope, os.urandom)

    def rotated(self, master: Master) -> Master:
        return self.master(master.scope)


@dataclass
class Aws:
    address: str

    def master(self, scope: Scope = "data", address: str = "", key: str = "", timeout_s: float = 5) -> AwsMaster:
        if address:
            return AwsMaster("alias/elsewhere", scope, 1, address, timeout_s, Recent())
        return AwsMaster(key or self.client.create_key()["KeyMetadata"]["KeyId"], scope, 1, self.address, timeout_s, Recent())

    def rotated(self, master: Master) -> Master:
        assert isinstance(master, AwsMaster)
        master.rotate()
        return AwsMaster.of(master.entry(2), master.scope)

    @property
    def client(self):
        import boto3

        return boto3.client("kms", endpoint_url=self.address)


@dataclass
class Bao:
    address: str
    engine: Transit

    def master(self, scope: Scope = "data", address: str = "", key: str = "", timeout_s: float = 5) -> TransitMaster:
        if not key and not address:
            key = f"mlray-{len(self.engine.keys)}"
            self.engine.answer("POST", f"/v1/transit/encrypt/{key}", TOKEN, {"plaintext": ""})
        return TransitMaster(address or self.address, "transit", key or "elsewhere", scope, 1, timeout_s, Recent())

    def rotated(self, master: Master) -> Master:
        assert isinstance(master, TransitMaster)
        master.rotate()
        return TransitMaster.of(master.entry(master.latest), master.scope)


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with kms_server() as address:
        yield Aws(address)


@pytest.fixture(scope="module")
def bao() -> Iterator[Bao]:
    engine = Transit()
    with transit_server(engine) as address:
        yield Bao(address, engine)


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test-id",
        "AWS_SECRET_ACCESS_KEY": "test-secret-access-key",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "VAULT_TOKEN": TOKEN,
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=["local", "aws", "bao"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return Local() if request.param == "local" else request.getfixturevalue(request.param)


@pytest.fixture(params=["aws", "bao"])
def remote(request: pytest.FixtureRequest) -> Aws | Bao:
    found: Aws | Bao = request.getfixturevalue(request.param)
    return found


def test_what_was_wrapped_unwraps(kind: Kind):
    master = kind.master("personal")
    wrapped = master.wrap(SECRET, PURPOSE)
    assert (wrapped.key, wrapped.scope) == (master.id, "personal") and SECRET not in wrapped.ciphertext
    assert master.unwrap(WrappedKey.from_json(wrapped.to_json()), PURPOSE) == SECRET
    master.check()


def test_a_key_for_one_purpose_or_scope_opens_for_no_other(kind: Kind):
    master = kind.master()
    wrapped = master.wrap(SECRET, PURPOSE)
    with pytest.raises(KeyringError, match="cannot be unwrapped"):
        master.unwrap(wrapped, PURPOSE.replace("@1", "@2"))
    other = _as_scope(master, "secret")
    with pytest.raises(KeyringError, match="cannot be unwrapped"):
        other.unwrap(replace(wrapped, key=other.id, scope="secret"), PURPOSE)


@pytest.mark.parametrize("at", [0, 7, 30, -1])
def test_a_changed_ciphertext_is_refused(kind: Kind, at: int):
    master = kind.master()
    wrapped = master.wrap(SECRET, PURPOSE)
    bent = bytearray(wrapped.ciphertext)
    bent[at] ^= 1
    with pytest.raises(KeyringError):
        master.unwrap(replace(wrapped, ciphertext=bytes(bent)), PURPOSE)
    for cut in (b"", wrapped.ciphertext[:-1], b"\xff" * 90, wrapped.ciphertext * 2):
        with pytest.raises(KeyringError):
            master.unwrap(replace(wrapped, ciphertext=cut), PURPOSE)


def test_after_a_rotation_the_new_one_wraps_and_both_open(kind: Kind):
    old = kind.master()
    key, wrapped = _ring(old).new_key("a")
    new = kind.rotated(old)
    assert new.id != old.id
    ring = _ring(old, new)
    again = ring.rewrap(wrapped, "a")
    assert again.key == new.id and again.ciphertext != wrapped.ciphertext
    assert ring.unwrap(again, "a").secret() == ring.unwrap(wrapped, "a").secret() == key.secret()


def test_a_keyring_without_the_master_names_it(kind: Kind):
    one, other = kind.master(), kind.master()
    _, wrapped = _ring(one).new_key("a")
    with pytest.raises(KeyringError, match=one.id.replace("#", "#")):
        _ring(other).unwrap(wrapped, "a")


def test_two_masters_do_not_open_for_each_other(kind: Kind):
    one, other = kind.master(), kind.master()
    with pytest.raises(KeyringError):
        other.unwrap(one.wrap(SECRET, PURPOSE), PURPOSE)


def test_a_key_that_is_not_in_the_service_is_named_and_not_made(remote: Aws | Bao):
    master = remote.master(key="nobody")
    for ask in (master.check, lambda: master.wrap(SECRET, PURPOSE)):
        with pytest.raises(KeyringError, match=r"nobody#1.* has no such key"):
            ask()
    assert not isinstance(remote, Bao) or "nobody" not in remote.engine.keys


def test_a_service_that_is_down_is_told_with_its_address(remote: Aws | Bao):
    address = closed_address()
    for ask in _asks(remote.master(address=address)):
        with pytest.raises(KeyringError, match=rf"{address} does not answer"):
            ask()


def test_a_service_that_never_answers_is_not_waited_for(remote: Aws | Bao):
    with silent_server() as address:
        for ask in _asks(remote.master(address=address, timeout_s=0.2)):
            with pytest.raises(KeyringError, match=rf"{address} did not answer within 0.2 s"):
                ask()


def test_no_secret_leaves_by_log_error_repr_or_pickle(kind: Kind, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    master = kind.master()
    said = [repr(master), str(master)]
    wrapped = master.wrap(SECRET, PURPOSE)
    _forget(master)
    master.unwrap(wrapped, PURPOSE)
    for wrong in (lambda: master.unwrap(wrapped, "other"), lambda: master.unwrap(replace(wrapped, ciphertext=b"x"), PURPOSE)):
        with pytest.raises(KeyringError) as refused:
            wrong()
        assert not refused.value.__cause__ or "InvalidTag" in repr(refused.value.__cause__) or "ValueError" in repr(refused.value.__cause__)
        said.append(str(refused.value))
    with suppress(KeyringError):
        said.append(repr(pickle.dumps(master)))
    text = "\n".join([*said, caplog.text])
    for secret in (SECRET.hex(), base64.b64encode(SECRET).decode(), repr(SECRET)[2:-1], TOKEN, "test-secret-access-key"):
        assert secret not in text
    with pytest.raises(KeyringError, match="stays in its process"):
        pickle.dumps(master)


def test_an_entry_in_the_file_makes_the_same_master_again_and_holds_no_secret(remote: Aws | Bao):
    master = remote.master("personal")
    entry = master.entry(1)
    again = type(master).of(entry, "personal")
    assert again.id == master.id == entry["id"]
    assert again.unwrap(master.wrap(SECRET, PURPOSE), PURPOSE) == SECRET
    assert TOKEN not in repr(entry) and "test-secret" not in repr(entry)


def test_what_was_opened_is_remembered_for_a_while_and_not_for_another_purpose(bao: Bao):
    now = [0.0]
    recent = Recent(limit=2, seconds=10, now=lambda: now[0])
    bao.engine.answer("POST", "/v1/transit/encrypt/often", TOKEN, {"plaintext": ""})
    master = TransitMaster(bao.address, "transit", "often", "data", 1, 5, recent)
    wrapped = [master.wrap(bytes([i]) * 32, PURPOSE) for i in range(3)]
    recent.clear()
    bao.engine.calls.clear()

    def calls(index: int, purpose: str = PURPOSE) -> int:
        before = len(bao.engine.calls)
        with suppress(KeyringError):
            assert master.unwrap(wrapped[index], purpose) == bytes([index]) * 32
        return len(bao.engine.calls) - before

    assert [calls(0), calls(0), calls(0, "other"), calls(0, "other")] == [1, 0, 1, 1]
    now[0] = 9.9
    assert calls(0) == 0
    now[0] = 10.0
    assert calls(0) == 1
    assert [calls(1), calls(2), len(recent), calls(0)] == [1, 1, 2, 1]  # two are kept, the oldest went
    assert repr(recent) == "Recent(2 of 2)"


def test_a_key_about_to_be_deleted_is_told_by_a_check(aws: Aws):
    master = aws.master()
    aws.client.disable_key(KeyId=master._key)
    with pytest.raises(KeyringError, match="is in state Disabled"):
        master.check()
    aws.client.schedule_key_deletion(KeyId=master._key, PendingWindowInDays=7)
    with pytest.raises(KeyringError, match="is in state PendingDeletion"):
        master.check()


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("DisabledException", "is disabled"),
        ("KMSInvalidStateException", "pending deletion"),
        ("AccessDeniedException", "does not let these credentials use it"),
        ("ThrottlingException", "refused: ThrottlingException"),
    ],
)
def test_a_key_that_kms_refuses_to_use_is_told(aws: Aws, code: str, told: str):
    with refusing_kms(code) as address, pytest.raises(KeyringError, match=told):
        aws.master(address=address).wrap(SECRET, PURPOSE)


def test_an_alias_is_kept_as_the_key_it_means_now(aws: Aws):
    one, other = aws.master(), aws.master()
    aws.client.create_alias(AliasName="alias/mlray", TargetKeyId=one._key)
    master = AwsMaster("alias/mlray", "data", 1, aws.address).resolved()
    aws.client.update_alias(AliasName="alias/mlray", TargetKeyId=other._key)
    assert master.id == one.id and one.unwrap(master.wrap(SECRET, PURPOSE), PURPOSE) == SECRET


def test_without_credentials_it_says_what_to_set(aws: Aws, bao: Bao, monkeypatch: pytest.MonkeyPatch):
    one, other = aws.master(), bao.master()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "VAULT_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    with pytest.raises(KeyringError, match="credentials"):
        AwsMaster(one._key, "data", 1, aws.address).wrap(SECRET, PURPOSE)
    with pytest.raises(KeyringError, match="no token for"):
        TransitMaster(bao.address, "transit", other._key, "data", 1).wrap(SECRET, PURPOSE)


def test_a_wrong_token_a_sealed_vault_and_a_retired_version_are_told_apart(bao: Bao, monkeypatch: pytest.MonkeyPatch):
    master = bao.master()
    wrapped = master.wrap(SECRET, PURPOSE)
    _forget(master)
    bao.engine.keys[master._key].versions.append(os.urandom(32))
    bao.engine.keys[master._key].oldest = 2
    with pytest.raises(KeyringError, match="retired in the service"):
        master.unwrap(wrapped, PURPOSE)
    with pytest.raises(KeyringError, match="decrypts from version 2 on"):
        master.check()
    bao.engine.sealed = True
    with pytest.raises(KeyringError, match="does not answer: VaultDown"):
        master.unwrap(wrapped, PURPOSE)
    bao.engine.sealed = False
    monkeypatch.setenv("VAULT_TOKEN", "wrong")
    with pytest.raises(KeyringError, match="does not let these credentials use it"):
        bao.master().check()


def _ring(*masters: Master) -> Keyring:
    return Keyring(masters, SigningKey(bytes(32), None), lambda: DataKey(bytes(32)), os.urandom)


def _as_scope(master: Master, scope: Scope) -> Master:
    """The same key, used for another scope."""
    match master:
        case AwsMaster():
            return AwsMaster.of(master.entry(1) | {"scope": scope}, scope)
        case TransitMaster():
            return TransitMaster.of(master.entry(1), scope)
    assert isinstance(master, LocalMaster)
    return LocalMaster(master._key, scope, os.urandom)


def _asks(master: AwsMaster | TransitMaster):
    wrapped = WrappedKey(master.id, b"vault:v1:AAAA", scope=master.scope)
    return (master.check, lambda: master.wrap(SECRET, PURPOSE), lambda: master.unwrap(wrapped, PURPOSE), master.rotate)


def _forget(master: Master) -> None:
    if isinstance(master, AwsMaster | TransitMaster):
        master._recent.clear()
