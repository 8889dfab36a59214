"""Keyring: who may read. It makes, wraps and unwraps data keys by scope, signs manifests, and gives pseudonym keys.

    master key of a scope --wraps--> data key of one version, in that scope --derives--> keys of its files
    signing key --signs--> manifests
    pseudonym key --derives--> key of one column

A scope is a circle of readers: `data` opens a version, `personal` and `secret` its columns of that class as well. A keyring
without a scope's master reads everything else.

Secrets live in `DataKey` alone: it prints as an id and refuses to be pickled, so none can travel in a Ray closure or a
log line. What travels is a `WrappedKey`. Derivation is HKDF-SHA256 (RFC 5869), signatures Ed25519 (RFC 8032).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NewType, NoReturn, Protocol, get_args

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mlray.errors import KeyringError

KeyId = NewType("KeyId", str)
Entropy = Callable[[int], bytes]  # count -> that many bytes nobody can guess
Scope = Literal["data", "personal", "secret"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

KEY_BYTES = 32


class Stays:
    """What holds a secret, or a way to one: it is never pickled or copied."""

    __slots__ = ()

    def _stays(self, *_: object) -> NoReturn:
        raise KeyringError(
            f"{self!r} stays in its process", hint="send the WrappedKey or the vault's address, and open it where it is used"
        )

    __reduce__ = __copy__ = __deepcopy__ = _stays
    __reduce_ex__ = _stays


class DataKey(Stays):
    """256 secret bits under a public id. Never printed, pickled or copied."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise KeyringError(f"a key has {KEY_BYTES} bytes, not {len(secret)}")
        self._secret = secret

    @property
    def id(self) -> KeyId:
        """Derived when asked for: there may be a key for each person, and 10 microseconds apiece would be most of the work."""
        return KeyId(_hkdf(self._secret, "mlray key id")[:8].hex())

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


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key that only the holder of master key `key` can open. Safe to send and to store.

    What ciphertext and nonce hold is between the master and itself: a remote one keeps everything in the ciphertext.
    """

    key: KeyId
    ciphertext: bytes
    nonce: bytes = b""
    scope: Scope = "data"

    def to_json(self) -> dict[str, str]:
        return {"key": self.key, "ciphertext": self.ciphertext.hex(), "nonce": self.nonce.hex(), "scope": self.scope}

    @classmethod
    def from_json(cls, value: dict[str, str]) -> WrappedKey:
        """Raises ValueError or KeyError for anything that `to_json` did not make."""
        (scope,) = (known for known in SCOPES if known == value["scope"])
        return cls(KeyId(value["key"]), bytes.fromhex(value["ciphertext"]), bytes.fromhex(value["nonce"]), scope)


@dataclass(frozen=True, slots=True)
class Signature:
    """An Ed25519 signature and the id of the key that made it."""

    key: KeyId
    value: bytes


class Master(Protocol):
    """A key that wraps others, in one scope. It may live in this process or in a service; `id` names it in every message.

    `wrap` and `unwrap` take what the key is for, and it opens for nothing else. Both raise KeyringError; so does `check`,
    when the master cannot be used now or will stop being usable, and its message says why.
    """

    @property
    def id(self) -> KeyId: ...
    @property
    def scope(self) -> Scope: ...
    def wrap(self, secret: bytes, purpose: str) -> WrappedKey: ...
    def unwrap(self, wrapped: WrappedKey, purpose: str) -> bytes: ...
    def check(self) -> None: ...


class Signer(Protocol):
    """Signs bytes and knows its own signatures; a keyring that only reads has one that cannot sign."""

    def sign(self, data: bytes) -> Signature: ...
    def verify(self, data: bytes, signature: Signature) -> None: ...


class Keyring(Stays):
    """The keys of one home. Of each scope the last master wraps; every one still unwraps."""

    def __init__(
        self,
        masters: Sequence[Master],
        signer: Signer,
        pseudonyms: Callable[[], DataKey],
        entropy: Entropy,
        newer: Callable[[], Sequence[Master]] = tuple,
    ) -> None:
        """`newer` gives the masters there are by now: a long-lived reader meets keys that were moved to a master made since."""
        self._signer, self._pseudonyms, self._entropy, self._newer = signer, pseudonyms, entropy, newer
        self._take(masters)

    @property
    def masters(self) -> tuple[Master, ...]:
        """All of them, the current one of a scope after the older ones."""
        return tuple(self._masters.values())

    def current(self, scope: Scope) -> Master:
        """The master that wraps in this scope. Raises KeyringError when this keyring was made without it."""
        if scope not in self._current:
            raise KeyringError(f"this keyring holds no master key of scope {scope}", hint=f"use a keyring that may read {scope} columns")
        return self._current[scope]

    def new_key(self, context: str, scope: Scope = "data") -> tuple[DataKey, WrappedKey]:
        """A fresh data key, and the same wrapped for this context alone."""
        key = DataKey(self._entropy(KEY_BYTES))
        return key, self.current(scope).wrap(key.secret(), _purpose(context))

    def unwrap(self, wrapped: WrappedKey, context: str) -> DataKey:
        """The data key. Raises KeyringError when its master key is absent, or it was wrapped for another context."""
        master = self._find(wrapped)
        if master is None:
            what = f"its master key {wrapped.key} of scope {wrapped.scope}"
            raise KeyringError(f"{context}: {what} is not in this keyring", hint="use the keyring that sealed it")
        return DataKey(master.unwrap(wrapped, _purpose(context)))

    def rewrap(self, wrapped: WrappedKey, context: str) -> WrappedKey:
        """The same data key under the current master of its scope; itself, if it is wrapped by that one already."""
        current = self.current(wrapped.scope)
        return wrapped if wrapped.key == current.id else current.wrap(self.unwrap(wrapped, context).secret(), _purpose(context))

    def holds(self, wrapped: WrappedKey) -> bool:
        """Whether its master is in this keyring; a service may still refuse to open it."""
        return self._find(wrapped) is not None

    def sign(self, data: bytes) -> Signature:
        return self._signer.sign(data)

    def verify(self, data: bytes, signature: Signature) -> None:
        """Raises TamperError unless these very bytes were signed, KeyringError when by a key that is not ours."""
        self._signer.verify(data, signature)

    def pseudonym_key(self, scope: str) -> DataKey:
        """The key for pseudonyms in one scope; it outlives the rotation of master keys, so that pseudonyms stay equal."""
        return self._pseudonyms().derive(f"pseudonyms {scope}")

    def _find(self, wrapped: WrappedKey) -> Master | None:
        if wrapped.key not in self._masters:
            self._take((*self._masters.values(), *self._newer()))
        master = self._masters.get(wrapped.key)
        return master if master and master.scope == wrapped.scope else None

    def _take(self, masters: Sequence[Master]) -> None:
        self._masters = {master.id: master for master in masters}
        self._current = {master.scope: master for master in masters}

    def __repr__(self) -> str:
        current = ", ".join(f"{scope}={master.id}" for scope, master in self._current.items())
        return f"Keyring({current}, keys={len(self._masters)})"


def _hkdf(secret: bytes, info: str) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=info.encode()).derive(secret)


def _purpose(context: str) -> str:
    return f"mlray data key of {context}"
