"""Notary: signed lines. What is signed says what it is, so a pointer cannot stand in for a manifest, nor one place for another."""

from __future__ import annotations

from collections.abc import Callable

from mlray.errors import KeyringError, TamperError
from mlray.vault import version
from mlray.vault.keyring import Keyring

MANIFEST = b"mlray manifest 2\n"
KEYS = b"mlray keys 2\n"
POINTER = b"mlray pointer 2\n"
SUBJECTS = b"mlray subjects 2\n"


class Notary:
    """Signs with the keyring and checks with it; the keyring is opened when it is first needed."""

    def __init__(self, keyring: Callable[[], Keyring]) -> None:
        self.keyring = keyring

    def sign(self, kind: bytes, line: bytes) -> bytes:
        """The line with its signature below it."""
        return version.join_signature(line, self.keyring().sign(kind + line))

    def read(self, kind: bytes, data: bytes, what: str) -> bytes:
        """The line, nothing of which was used before its signature was checked. Raises TamperError beginning with `what`."""
        line, signature = version.split_signature(data, what)
        keyring = self.keyring()  # where there is none, that is said, not what was to be read
        try:
            keyring.verify(kind + line, signature)
        except TamperError as forged:
            raise TamperError(f"{what} was changed after it was signed", hint="restore it from your backup") from forged
        except KeyringError as foreign:
            raise KeyringError(f"{what} is {foreign.message}", hint=foreign.hint) from foreign
        return line
