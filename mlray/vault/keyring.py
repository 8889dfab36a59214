"""Keyring: who may read. It makes, wraps and unwraps data keys, signs manifests, and gives pseudonym keys.

    master key --wraps--> data key of one version --derives--> key of one file
    signing key --signs--> manifests
    pseudonym key --derives--> key of one column

Secrets live in `DataKey` alone: it prints as an id and refuses to be pickled, so none can travel in a Ray closure or a
log line. What travels is a `WrappedKey`. Derivation is HKDF-SHA256 (RFC 5869), wrapping AES-256-GCM with the context
as associated data, signatures Ed25519 (RFC 8032).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import NewType, NoReturn

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mlray.errors import KeyringError, TamperError

KeyId = NewType("KeyId", str)
Entropy = Callable[[int], bytes]  # count -> that many bytes nobody can guess

KEY_BYTES = 32
NONCE_BYTES = 12


class DataKey:
    """256 secret bits under a public id. Never printed, pickled or copied."""

    __slots__ = ("_secret", "id")

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise KeyringError(f"a key has {KEY_BYTES} bytes, not {len(secret)}")
        self._secret = secret
        self.id = KeyId(_hkdf(secret, "mlray key id")[:8].hex())

    def secret(self) -> bytes:
        """The bytes themselves: for a cipher, in this process, now."""
        return self._secret

    def derive(self, purpose: str) -> DataKey:
        """Another key, the same for the same purpose; it tells nothing about this one."""
        return DataKey(_hkdf(self._secret, f"mlray derive {purpose}"))

    def mac(self, data: bytes) -> bytes:
        """HMAC-SHA256, 32 bytes."""
        return hmac.digest(self._secret, data, "sha256")

    def __repr__(self) -> str:
        return f"DataKey({self.id})"

    def _stays(self, *_: object) -> NoReturn:
        raise KeyringError(f"key {self.id} stays in its process", hint="send the WrappedKey, and unwrap it where it is used")

    __reduce__ = __copy__ = __deepcopy__ = _stays
    __reduce_ex__ = _stays


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key that only the holder of master key `key` can open. Safe to send and to store."""

    key: KeyId
    nonce: bytes
    ciphertext: bytes

    def to_json(self) -> dict[str, str]:
        return {"key": self.key, "nonce": self.nonce.hex(), "ciphertext": self.ciphertext.hex()}

    @classmethod
    def from_json(cls, value: dict[str, str]) -> WrappedKey:
        return cls(KeyId(value["key"]), bytes.fromhex(value["nonce"]), bytes.fromhex(value["ciphertext"]))


@dataclass(frozen=True, slots=True)
class Signature:
    """An Ed25519 signature and the id of the key that made it."""

    key: KeyId
    value: bytes


class Keyring:
    """The keys of one home. The last master key wraps; every one still unwraps."""

    def __init__(self, masters: tuple[DataKey, ...], signing: DataKey, pseudonyms: DataKey, entropy: Entropy) -> None:
        self._masters = {key.id: key for key in masters}
        self._current = masters[-1]
        self._signing, self._pseudonyms, self._entropy = signing, pseudonyms, entropy

    def new_key(self, context: str) -> tuple[DataKey, WrappedKey]:
        """A fresh data key, and the same wrapped for this context alone."""
        key, nonce = DataKey(self._entropy(KEY_BYTES)), self._entropy(NONCE_BYTES)
        sealed = AESGCM(self._current.secret()).encrypt(nonce, key.secret(), _bound(context))
        return key, WrappedKey(self._current.id, nonce, sealed)

    def unwrap(self, wrapped: WrappedKey, context: str) -> DataKey:
        """The data key. Raises KeyringError when its master key is absent, or it was wrapped for another context."""
        master = self._masters.get(wrapped.key)
        if master is None:
            raise KeyringError(f"{context}: its master key {wrapped.key} is not in this keyring", hint="use the keyring that sealed it")
        try:
            return DataKey(AESGCM(master.secret()).decrypt(wrapped.nonce, wrapped.ciphertext, _bound(context)))
        except (InvalidTag, ValueError) as wrong:
            raise KeyringError(f"{context}: its data key cannot be unwrapped: changed, or made for something else") from wrong

    def sign(self, data: bytes) -> Signature:
        return Signature(self._signing.id, Ed25519PrivateKey.from_private_bytes(self._signing.secret()).sign(data))

    def verify(self, data: bytes, signature: Signature) -> None:
        """Raises TamperError unless these very bytes were signed, KeyringError when by a key that is not ours."""
        if signature.key != self._signing.id:
            raise KeyringError(f"signed by key {signature.key}, which is not in this keyring", hint="use the keyring that signed it")
        try:
            Ed25519PrivateKey.from_private_bytes(self._signing.secret()).public_key().verify(signature.value, data)
        except InvalidSignature as forged:
            raise TamperError("the signature does not fit: the bytes were changed after they were signed") from forged

    def pseudonym_key(self, scope: str) -> DataKey:
        """The key for pseudonyms in one scope; it outlives the rotation of master keys, so that pseudonyms stay equal."""
        return self._pseudonyms.derive(f"pseudonyms {scope}")

    def __repr__(self) -> str:
        return f"Keyring(current={self._current.id}, keys={len(self._masters)})"


def _hkdf(secret: bytes, info: str) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=info.encode()).derive(secret)


def _bound(context: str) -> bytes:
    return f"mlray data key of {context}".encode()
