"""SigningKey: who vouches for a manifest. Its public half verifies; the private half is opened only to sign.

So a reader needs no signing key, and a keyring whose masters are in a service asks that service once to write, never to
verify.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mlray.errors import KeyringError, TamperError
from mlray.vault.keyring import DataKey, KeyId, Signature, Stays


class SigningKey(Stays):
    """`secret` gives the private half when it is needed first; None for a keyring that only reads."""

    def __init__(self, public: bytes, secret: Callable[[], DataKey] | None) -> None:
        self.public, self._secret = public, secret
        self.id = KeyId(hashlib.sha256(b"mlray signing key" + public).hexdigest()[:16])

    def __repr__(self) -> str:
        return f"SigningKey({self.id})"

    def sign(self, data: bytes) -> Signature:
        return Signature(self.id, self._private.sign(data))

    def verify(self, data: bytes, signature: Signature) -> None:
        if signature.key != self.id:
            raise KeyringError(f"signed by key {signature.key}, which is not in this keyring", hint="use the keyring that signed it")
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature.value, data)
        except InvalidSignature as forged:
            raise TamperError("the signature does not fit: the bytes were changed after they were signed") from forged

    @cached_property
    def _private(self) -> Ed25519PrivateKey:
        if self._secret is None:
            raise KeyringError("this keyring only reads: it holds no signing key", hint="write with the keyring it was exported from")
        private = Ed25519PrivateKey.from_private_bytes(self._secret().secret())
        if private.public_key().public_bytes_raw() != self.public:
            raise KeyringError(f"signing key {self.id} is damaged", hint="restore the keyring from your backup")
        return private


def public_half(secret: DataKey) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(secret.secret()).public_key().public_bytes_raw()
