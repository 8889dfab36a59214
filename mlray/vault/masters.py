"""LocalMaster: a master key held in this process. It wraps with AES-256-GCM (SP 800-38D), the purpose as associated data."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mlray.errors import KeyringError
from mlray.vault.keyring import DataKey, Entropy, KeyId, Scope, Stays, WrappedKey

NONCE_BYTES = 12


class LocalMaster(Stays):
    """256 secret bits of the keyring file. A random nonce for each wrapped key: safe far beyond 2^31 versions."""

    __slots__ = ("_entropy", "_key", "scope")

    def __init__(self, key: DataKey, scope: Scope, entropy: Entropy) -> None:
        self._key, self._entropy, self.scope = key, entropy, scope

    @property
    def id(self) -> KeyId:
        return self._key.id

    def wrap(self, secret: bytes, purpose: str) -> WrappedKey:
        nonce = self._entropy(NONCE_BYTES)
        return WrappedKey(self.id, self._cipher.encrypt(nonce, secret, self._bound(purpose)), nonce, self.scope)

    def unwrap(self, wrapped: WrappedKey, purpose: str) -> bytes:
        try:
            return self._cipher.decrypt(wrapped.nonce, wrapped.ciphertext, self._bound(purpose))
        except (InvalidTag, ValueError) as wrong:
            raise cannot_open(purpose) from wrong

    def check(self) -> None:
        """A key in this process is there; its id proved it whole when the file was read."""

    @property
    def _cipher(self) -> AESGCM:
        return AESGCM(self._key.secret())

    def _bound(self, purpose: str) -> bytes:
        return f"{self.scope} {purpose}".encode()

    def __repr__(self) -> str:
        return f"LocalMaster({self.id}, {self.scope})"


def cannot_open(purpose: str) -> KeyringError:
    """What every master says of a wrapped key that does not open: why is not told, since nobody can know."""
    return KeyringError(f"{purpose.removeprefix('mlray ')} cannot be unwrapped: changed, or made for something else")
