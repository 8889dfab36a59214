"""Reader: the parts of one version, each checked whole before any of its rows is used."""

from __future__ import annotations

from functools import cache, partial

import pyarrow as pa

from mlray.errors import KeyringError, MlrayError
from mlray.vault import tables, version
from mlray.vault.columns import Unlock
from mlray.vault.opened import Opened, place
from mlray.vault.shelf import Shelf
from mlray.vault.subject_states import SubjectStates
from mlray.vault.subjects import SubjectKeys
from mlray.vault.tables import Wanted
from mlray.vault.version import Manifest, Part


class Reader:
    """Reads the parts of one version."""

    def __init__(self, shelf: Shelf, states: SubjectStates, opened: Opened, manifest: Manifest) -> None:
        self._shelf, self._states, self._opened, self._manifest = shelf, states, opened, manifest
        self._persons: SubjectKeys | None = None

    def table(self, part: Part, wanted: Wanted = tables.ALL) -> pa.Table:
        where = place(self._manifest.kind, self._manifest.name, part.file)
        sealed = self._shelf.stored(self._manifest, part)
        try:
            return tables.open_table(self._opened.file(part, "data"), sealed, where, wanted, self._unlock(part))
        except MlrayError as refused:
            called = f"{version.short(self._manifest.name, self._manifest.digest)}: part {part.name}"
            raise type(refused)(refused.message.replace(where, called), hint=refused.hint) from refused

    def _unlock(self, part: Part) -> Unlock:
        there = {scope for scope, _ in part.keys if self._opened.holds(scope)}
        found = cache(partial(self._opened.file, part))
        return Unlock(lambda scope: found(scope) if scope in there else None, self._subjects)

    def _subjects(self) -> SubjectKeys:
        if self._persons is None:
            self._persons = self._states.find(self._manifest.name)
        if self._persons is None:
            raise KeyringError(f"{self._manifest.name}: the keys of its subjects are gone", hint="restore them from your backup")
        return self._persons
