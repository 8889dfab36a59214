"""Holdings: everything in a store that some master key wraps. What rotation moves, and what must be openable."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

from mlray.errors import KeyringError, MlrayError, TamperError
from mlray.vault import version
from mlray.vault.blobs import Blobs
from mlray.vault.keyring import KeyId, WrappedKey
from mlray.vault.opened import context
from mlray.vault.secrets import Secrets
from mlray.vault.shelf import KINDS, NO_VERSION
from mlray.vault.store import Vault
from mlray.vault.version import Kind

What = Literal["version", "draft", "secret", "subjects"]
Keys = tuple[WrappedKey, ...]


@dataclass(frozen=True, slots=True)
class Holding:
    """One key.json, one secret, or the state of one dataset's subjects; and the wrapped keys in it."""

    what: What
    name: str
    keys: Keys
    kind: Kind = "dataset"
    digest: str = ""
    wrong: str = ""  # why its keys cannot even be listed

    def __str__(self) -> str:
        return {"version": self.short, "draft": f"unfinished {self.short}", "secret": f"secret {self.name}"}.get(
            self.what, f"subjects of {self.name}"
        )

    @property
    def short(self) -> str:
        return version.short(self.name, self.digest)

    def under(self, master: KeyId) -> bool:
        return any(key.key == master for key in self.keys)


class Holdings:
    """Of one vault. Listing reads wrapped keys and opens none."""

    def __init__(self, vault: Vault) -> None:
        self._vault, self._blobs, self._secrets = vault, Blobs(vault.address.store), Secrets(vault)

    def all(self) -> tuple[Holding, ...]:
        """Raises KeyringError when one was changed: what wraps it is then not known."""
        found = self.look()
        for holding in found:
            if holding.wrong:
                raise KeyringError(holding.wrong, hint="restore it from your backup")
        return found

    def look(self) -> tuple[Holding, ...]:
        """All of them, those included that were changed."""
        return (*self._versions(), *self._states(), *self._sealed())

    @property
    def empty(self) -> bool:
        """Whether the store holds nothing that was ever sealed."""
        return self._vault.shelf.empty and not self._secrets.list()

    def names(self, kind: Kind = "dataset") -> tuple[str, ...]:
        return self._blobs.folders(f"{kind}s")

    def state_digest(self, name: str) -> str:
        """Of the sealed state of a dataset's subjects, as it lies in the store; "" without one."""
        files = self._blobs.files(f"datasets/{name}/subjects")
        data = self._blobs.read(f"datasets/{name}/subjects/{files[-1]}") if files else None
        return version.digest_bytes(data) if data is not None else ""

    def destroyed(self) -> tuple[tuple[Kind, str, str], ...]:
        """Versions whose manifest is there and whose keys are not."""
        return tuple(place for place, files in self._folders() if "manifest.json" in files and "key.json" not in files)

    def open(self, holding: Holding) -> None:
        """Opens every key of it that this keyring may open. Raises MlrayError saying what is wrong."""
        if holding.what == "subjects":
            self._vault.subject_keys(holding.name)
        elif holding.what == "secret":
            self._vault.keyring.unwrap(holding.keys[0], f"secret {holding.name}")
        for key in holding.keys if holding.digest else ():
            self._vault.keyring.unwrap(key, context(holding.kind, holding.name, holding.digest, key.scope))

    def rewrap(self, holding: Holding) -> None:
        """Its keys under the current masters of their scopes. One that was destroyed meanwhile stays destroyed."""
        if holding.what == "subjects":
            self._vault.subjects.change(holding.name, lambda state: state)
        elif holding.what == "secret":
            self._secrets.rewrap(holding.name, self._vault.keyring)
        else:
            self._rewrap_version(holding)

    def _rewrap_version(self, holding: Holding) -> None:
        """Read again at once before it is written: a draft may have been discarded since the listing, and begun anew."""
        kind, name, digest, ring = holding.kind, holding.name, holding.digest, self._vault.keyring
        if "key.json" not in self._blobs.files(f"{kind}s/{name}/{digest}"):
            return
        keys = self._keys(kind, name, digest)
        again = {key.scope: ring.rewrap(key, context(kind, name, digest, key.scope)) for key in keys}
        if set(again.values()) != set(keys):
            self._vault.shelf.write_keys(kind, name, digest, again)

    def _versions(self) -> Iterator[Holding]:
        for (kind, name, digest), files in self._folders():
            if "key.json" in files:
                what: What = "version" if "manifest.json" in files else "draft"
                keys, wrong = _listed(partial(self._keys, kind, name, digest))
                yield Holding(what, name, keys, kind, digest, wrong)

    def _keys(self, kind: Kind, name: str, digest: str) -> Keys:
        return tuple(self._vault.shelf.keys(kind, name, digest).values())

    def _folders(self) -> Iterator[tuple[tuple[Kind, str, str], tuple[str, ...]]]:
        for kind in KINDS:
            for name in self._blobs.folders(f"{kind}s"):
                for digest in self._blobs.folders(f"{kind}s/{name}"):
                    if digest not in NO_VERSION:
                        yield (kind, name, digest), self._blobs.files(f"{kind}s/{name}/{digest}")

    def _states(self) -> Iterator[Holding]:
        for name in self.names():
            for file in self._blobs.files(f"datasets/{name}/subjects")[-1:]:
                data = self._blobs.read(f"datasets/{name}/subjects/{file}")
                if data is not None:
                    keys, wrong = _listed(partial(_state_key, name, data))
                    yield Holding("subjects", name, keys, wrong=wrong)

    def _sealed(self) -> Iterator[Holding]:
        for name in self._secrets.list():
            keys, wrong = _listed(partial(self._secrets.wrapped, name))
            yield Holding("secret", name, keys, wrong=wrong)


def _listed(keys: Callable[[], Keys]) -> tuple[Keys, str]:
    try:
        return keys(), ""
    except MlrayError as wrong:
        return (), wrong.message


def _state_key(name: str, data: bytes) -> Keys:
    what = f"{name}: the keys of its subjects"
    line, _ = version.split_signature(data, what)
    try:
        return (WrappedKey.from_json(json.loads(line)["key"]),)
    except (ValueError, KeyError, TypeError) as broken:
        raise TamperError(f"{what} are not what was stored", hint="restore them from your backup") from broken
