"""Secrets: passwords and tokens of sources by name, sealed in the store in scope data.

    secrets/<name>.sealed       the value under a key of its own, that key wrapped for this name alone

MLRAY_SECRET_<NAME> in the environment comes first: a platform that hands out secrets needs no store.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

from mlray.errors import SpecError, TamperError
from mlray.vault.blobs import Blobs
from mlray.vault.keyring import KeyId, Keyring, WrappedKey
from mlray.vault.sealing import open_bytes, seal_bytes

if TYPE_CHECKING:
    from mlray.vault.store import Vault

FOLDER = "secrets"
ENDING = ".sealed"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class Secrets:
    """The secrets of one vault. A value is returned to who asks for it by name, and is in no list, log or error."""

    def __init__(self, vault: Vault) -> None:
        self._vault, self._blobs = vault, Blobs(vault.address.store)

    def get(self, name: str) -> str:
        """Raises SpecError when there is none of this name."""
        here = os.environ.get(variable(name))
        if here is not None:
            return here
        sealed = self._blobs.read(_file(name))
        if sealed is None:
            raise SpecError(f"there is no secret {name}", hint=f"run `mlray secret set {name}`, or set {variable(name)}")
        key, body = _split(name, sealed)
        return open_bytes(self._vault.keyring.unwrap(key, _context(name)), body, _context(name)).decode()

    def set(self, name: str, value: str) -> None:
        """Stores it, in place of the one before."""
        if not NAME.fullmatch(name):
            raise SpecError(f"{name!r} cannot name a secret", hint="write letters, digits, `-` and `_`")
        keyring = self._vault.make_keyring() if self._vault.shelf.empty else self._vault.keyring
        key, wrapped = keyring.new_key(_context(name))
        self._blobs.write(_file(name), _joined(wrapped, seal_bytes(key, value.encode(), _context(name))))

    def list(self) -> tuple[str, ...]:
        """The names in the store."""
        return tuple(file.removesuffix(ENDING) for file in self._blobs.files(FOLDER) if file.endswith(ENDING))

    def remove(self, name: str) -> None:
        """Raises SpecError when there is none of this name."""
        if name not in self.list():
            raise SpecError(f"there is no secret {name} in the store", hint=_known(self.list()))
        self._blobs.destroy_file(_file(name))

    def wrapped(self, name: str) -> tuple[WrappedKey, ...]:
        """The key that seals it; none when it was removed meanwhile."""
        sealed = self._blobs.read(_file(name))
        return () if sealed is None else (_split(name, sealed)[0],)

    def rewrap(self, name: str, keyring: Keyring) -> KeyId | None:
        """Its key under the current master; the sealed value stays as it is. The id of the master it has then."""
        sealed = self._blobs.read(_file(name))
        if sealed is None:
            return None
        key, body = _split(name, sealed)
        again = keyring.rewrap(key, _context(name))
        if again != key:
            self._blobs.write(_file(name), _joined(again, body))
        return again.key


def variable(name: str) -> str:
    """The environment variable that stands for a secret."""
    return f"MLRAY_SECRET_{name.upper().replace('-', '_')}"


def _file(name: str) -> str:
    return f"{FOLDER}/{name}{ENDING}"


def _context(name: str) -> str:
    return f"secret {name}"


def _joined(key: WrappedKey, body: bytes) -> bytes:
    return json.dumps(key.to_json(), sort_keys=True).encode() + b"\n" + body


def _split(name: str, sealed: bytes) -> tuple[WrappedKey, bytes]:
    line, _, body = sealed.partition(b"\n")
    try:
        return WrappedKey.from_json(json.loads(line)), body
    except (ValueError, KeyError, TypeError) as broken:
        raise TamperError(f"secret {name} is not what was stored", hint=f"store it again: `mlray secret set {name}`") from broken


def _known(names: tuple[str, ...]) -> str:
    return f"there are {', '.join(names)}" if names else "there are none yet"
