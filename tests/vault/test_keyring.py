"""Keys wrap, sign and derive; no secret leaves by repr, str, pickle or copy."""

from __future__ import annotations

import copy
import pickle

import pytest

from mlray.errors import KeyringError, TamperError
from mlray.vault.keyring import DataKey, Keyring, Signature, WrappedKey


def counting(start: int = 0):
    """Entropy for tests: every call gives other bytes."""
    state = [start]

    def entropy(count: int) -> bytes:
        state[0] += 1
        return bytes([state[0]]) * count

    return entropy


def keyring(seed: int = 1) -> Keyring:
    return Keyring((DataKey(bytes([seed]) * 32),), DataKey(bytes([seed + 1]) * 32), DataKey(bytes([seed + 2]) * 32), counting(100))


def test_a_data_key_unwraps_to_the_same_secret():
    ring = keyring()
    key, wrapped = ring.new_key("dataset flights@1")
    assert ring.unwrap(wrapped, "dataset flights@1").secret() == key.secret()
    assert WrappedKey.from_json(wrapped.to_json()) == wrapped
    assert key.secret() not in wrapped.ciphertext


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
        keyring(10).unwrap(wrapped, "a")


@pytest.mark.parametrize("at", [0, 20, 47])
def test_a_flipped_bit_in_a_wrapped_key_is_noticed(at: int):
    ring = keyring()
    _, wrapped = ring.new_key("a")
    bent = bytearray(wrapped.ciphertext)
    bent[at] ^= 1
    with pytest.raises(KeyringError):
        ring.unwrap(WrappedKey(wrapped.key, wrapped.nonce, bytes(bent)), "a")


def test_a_signature_fits_its_bytes_alone():
    ring = keyring()
    signature = ring.sign(b"500 rows")
    ring.verify(b"500 rows", signature)
    with pytest.raises(TamperError):
        ring.verify(b"501 rows", signature)
    with pytest.raises(TamperError):
        ring.verify(b"500 rows", Signature(signature.key, bytes(64)))
    with pytest.raises(KeyringError, match="not in this keyring"):
        keyring(10).verify(b"500 rows", signature)


def test_pseudonym_keys_are_equal_in_a_scope_and_differ_between_scopes():
    ring = keyring()
    assert ring.pseudonym_key("flights/tailnum").secret() == ring.pseudonym_key("flights/tailnum").secret()
    assert ring.pseudonym_key("flights/tailnum").secret() != ring.pseudonym_key("trains/tailnum").secret()


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_key_refuses_to_leave_its_process(take):
    with pytest.raises(KeyringError, match="stays in its process"):
        take(DataKey(b"7" * 32))
    with pytest.raises(KeyringError, match="stays in its process"):
        pickle.dumps(keyring())


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
