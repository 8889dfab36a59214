"""Keys wrap, sign and derive; no secret leaves by repr, str, pickle or copy."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import pytest

from mlray.errors import KeyringError, TamperError
from mlray.vault.keyring import SCOPES, DataKey, Keyring, Scope, Signature, WrappedKey
from mlray.vault.masters import LocalMaster
from mlray.vault.signing import SigningKey, public_half


def counting(start: int = 0):
    """Entropy for tests: every call gives other bytes."""
    state = [start]

    def entropy(count: int) -> bytes:
        state[0] += 1
        return bytes([state[0]]) * count

    return entropy


def keyring(seed: int = 1, scopes: tuple[Scope, ...] = SCOPES, older: tuple[LocalMaster, ...] = ()) -> Keyring:
    entropy = counting(100)
    masters = [LocalMaster(DataKey(bytes([seed + 10 + i]) * 32), scope, entropy) for i, scope in enumerate(scopes)]
    signing, pseudonyms = DataKey(bytes([seed + 1]) * 32), DataKey(bytes([seed + 2]) * 32)
    return Keyring((*older, *masters), SigningKey(public_half(signing), lambda: signing), lambda: pseudonyms, entropy)


def test_a_data_key_unwraps_to_the_same_secret():
    ring = keyring()
    key, wrapped = ring.new_key("dataset flights@1")
    assert ring.unwrap(wrapped, "dataset flights@1").secret() == key.secret()
    assert WrappedKey.from_json(wrapped.to_json()) == wrapped
    assert key.secret() not in wrapped.ciphertext
    assert wrapped.scope == "data"


def test_each_scope_has_a_master_of_its_own_and_a_key_does_not_change_scope():
    ring = keyring()
    for scope in SCOPES:
        key, wrapped = ring.new_key("a", scope)
        assert wrapped.scope == scope and ring.holds(wrapped) and ring.unwrap(wrapped, "a").secret() == key.secret()
    assert len({ring.current(scope).id for scope in SCOPES}) == 3
    moved = replace(ring.new_key("a", "secret")[1], scope="data")
    assert not ring.holds(moved)
    with pytest.raises(KeyringError, match="not in this keyring"):
        ring.unwrap(moved, "a")
    with pytest.raises(KeyringError, match="changed, or made for something else"):
        ring.unwrap(replace(moved, key=ring.current("data").id), "a")


def test_a_keyring_without_a_scope_reads_the_others_and_says_which_it_lacks():
    _, wrapped = keyring().new_key("a", "personal")
    reader = keyring(scopes=("data",))
    reader.unwrap(keyring().new_key("b")[1], "b")
    assert not reader.holds(wrapped)
    with pytest.raises(KeyringError, match="of scope personal is not in this keyring"):
        reader.unwrap(wrapped, "a")
    with pytest.raises(KeyringError, match="no master key of scope personal"):
        reader.new_key("a", "personal")


def test_the_last_master_wraps_and_the_older_ones_still_unwrap():
    old = keyring(1)
    key, wrapped = old.new_key("a")
    ring = keyring(60, older=tuple(m for m in old.masters if isinstance(m, LocalMaster)))
    assert ring.unwrap(wrapped, "a").secret() == key.secret()
    again = ring.rewrap(wrapped, "a")
    assert again.key == ring.current("data").id != wrapped.key
    assert ring.unwrap(again, "a").secret() == key.secret() and ring.rewrap(again, "a") is again
    with pytest.raises(KeyringError):
        ring.rewrap(wrapped, "b")


def test_a_wrapped_key_of_an_unknown_scope_is_not_read():
    value = keyring().new_key("a")[1].to_json() | {"scope": "public"}
    with pytest.raises(ValueError):
        WrappedKey.from_json(value)


def test_two_data_keys_differ():
    ring = keyring()
    assert ring.new_key("a")[0].secret() != ring.new_key("a")[0].secret()


def test_a_key_wrapped_for_one_version_does_not_open_another():
    ring = keyring()
    _, wrapped = ring.new_key("dataset flights@1")
    with pytest.raises(KeyringError, match="flights@2"):
        ring.unwrap(wrapped, "dataset flights@2")


def test_another_keyring_does_not_unwrap():
    _, wrapped = keyring(1).new_key("a")
    with pytest.raises(KeyringError, match="not in this keyring"):
        keyring(40).unwrap(wrapped, "a")


@pytest.mark.parametrize("at", [0, 20, 47])
def test_a_flipped_bit_in_a_wrapped_key_is_noticed(at: int):
    ring = keyring()
    _, wrapped = ring.new_key("a")
    bent = bytearray(wrapped.ciphertext)
    bent[at] ^= 1
    with pytest.raises(KeyringError):
        ring.unwrap(replace(wrapped, ciphertext=bytes(bent)), "a")


def test_a_signature_fits_its_bytes_alone():
    ring = keyring()
    signature = ring.sign(b"500 rows")
    ring.verify(b"500 rows", signature)
    with pytest.raises(TamperError):
        ring.verify(b"501 rows", signature)
    with pytest.raises(TamperError):
        ring.verify(b"500 rows", Signature(signature.key, bytes(64)))
    with pytest.raises(KeyringError, match="not in this keyring"):
        keyring(40).verify(b"500 rows", signature)


def test_a_keyring_that_only_reads_verifies_and_does_not_sign():
    ring = keyring()
    public = ring._signer.public  # type: ignore[attr-defined]
    reader = Keyring(ring.masters, SigningKey(public, None), lambda: DataKey(b"0" * 32), counting())
    reader.verify(b"500 rows", ring.sign(b"500 rows"))
    with pytest.raises(KeyringError, match="only reads"):
        reader.sign(b"500 rows")


def test_a_private_half_that_does_not_fit_the_public_one_signs_nothing():
    public = public_half(DataKey(b"1" * 32))
    with pytest.raises(KeyringError, match="is damaged"):
        SigningKey(public, lambda: DataKey(b"2" * 32)).sign(b"x")


def test_pseudonym_keys_are_equal_in_a_scope_and_differ_between_scopes():
    ring = keyring()
    assert ring.pseudonym_key("flights/tailnum").secret() == ring.pseudonym_key("flights/tailnum").secret()
    assert ring.pseudonym_key("flights/tailnum").secret() != ring.pseudonym_key("trains/tailnum").secret()


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_key_refuses_to_leave_its_process(take):
    with pytest.raises(KeyringError, match="stays in its process"):
        take(DataKey(b"7" * 32))
    with pytest.raises(KeyringError, match="stays in its process"):
        take(keyring())
    with pytest.raises(KeyringError, match="stays in its process"):
        pickle.dumps(keyring().masters[0])


def test_a_key_in_a_closure_cannot_be_sent_to_a_worker():
    cloudpickle = pytest.importorskip("ray.cloudpickle")
    key = DataKey(b"7" * 32)
    with pytest.raises(KeyringError, match="stays in its process"):
        cloudpickle.dumps(lambda: key)


def test_a_key_prints_its_id_and_nothing_of_its_secret():
    key = DataKey(b"\x07" * 32)
    for text in (repr(key), str(key), f"{key}", repr(keyring(7)), repr([key]), repr({"key": key})):
        assert "0707" not in text and "\\x07" not in text and "\x07" not in text
    assert repr(key) == f"DataKey({key.id})"


def test_a_key_of_another_length_is_refused_without_printing_it():
    with pytest.raises(KeyringError) as refused:
        DataKey(b"\x07" * 16)
    assert "0707" not in str(refused.value) and "\x07" not in str(refused.value)
