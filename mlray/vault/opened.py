"""Opened: the keys of one version, and what each key and each file is bound to."""

from __future__ import annotations

from mlray.errors import KeyringError
from mlray.vault import sealing, version
from mlray.vault.keyring import DataKey, Keyring, Scope
from mlray.vault.version import Kind, Part, VersionKeys


class Opened:
    """The keys of one version, each unwrapped when it is first asked for."""

    def __init__(self, keyring: Keyring, kind: Kind, name: str, digest: str, keys: VersionKeys) -> None:
        self._keyring, self._wrapped, self._keys = keyring, keys, dict[Scope, DataKey]()
        self.kind, self.name, self.digest = kind, name, digest

    def __getitem__(self, scope: Scope) -> DataKey:
        """Raises KeyringError when the version has no key in this scope, or the keyring may not open it."""
        if scope not in self._keys:
            if scope not in self._wrapped:
                raise KeyringError(f"{version.short(self.name, self.digest)} has no key of scope {scope}: it was destroyed or never made")
            self._keys[scope] = self._keyring.unwrap(self._wrapped[scope], context(self.kind, self.name, self.digest, scope))
        return self._keys[scope]

    def holds(self, scope: Scope) -> bool:
        """Whether it could be opened here; a service that keeps the master may still refuse."""
        return scope in self._wrapped and self._keyring.holds(self._wrapped[scope])

    def seal(self, file: DataKey, scope: Scope, where: str) -> tuple[Scope, str]:
        return scope, sealing.seal_key(self[scope], file, where)

    def file(self, part: Part, scope: Scope) -> DataKey:
        """The key of one file. Raises KeyringError when the file has none in this scope, TamperError when it is not the file's."""
        what = f"{version.short(self.name, self.digest)}: part {part.name}"
        for found, sealed in part.keys:
            if found == scope:
                return sealing.open_key(self[scope], sealed, what, place(self.kind, self.name, part.file))
        raise KeyringError(f"{what} has no key of scope {scope}")


def context(kind: Kind, name: str, digest: str, scope: Scope) -> str:
    """What a version's key is for: it is bound into its wrapping, so it opens for no other version and no other scope."""
    return f"{kind} {name}@{digest}#{scope}"


def place(kind: Kind, name: str, file: str) -> str:
    """Where a file belongs: it is bound into its encryption, so the file opens nowhere else."""
    return f"{kind} {name}: {file}"
