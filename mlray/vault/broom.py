"""Broom: removes what no version needs, while others may be writing.

A file goes only when no committed manifest of its dataset names it. Removing and committing meet at a mark: who removes
sets the mark first and looks at the manifests then; who commits writes the manifest first, waits until there is no mark, and
looks at its files then. Whatever the order, one of them sees the other, and a version is never left with files that are gone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from mlray.errors import StoreError
from mlray.vault import living
from mlray.vault.blobs import Blobs
from mlray.vault.shelf import Shelf, folder, path
from mlray.vault.version import Kind, Manifest, short

PATIENCE_S = 30.0
ABANDONED = timedelta(minutes=10)  # a mark this old was left by a process that died, on whatever machine


class Broom:
    def __init__(self, blobs: Blobs, shelf: Shelf) -> None:
        self._blobs, self._shelf = blobs, shelf

    def sweep(self, kept: Manifest) -> None:
        """After a commit: other runs' files, those of tasks that ran twice, and receipts."""
        self._remove_unnamed(kept.kind, kept.name, self._files(folder(kept), kept.digest) - {part.file for part in kept.parts})
        self._blobs.remove(f"{folder(kept)}/done")

    def discard(self, kind: Kind, name: str, digest: str) -> None:
        """Removes a version that was never committed; one that was is not touched."""
        with self._marked(kind, name):
            if not self._shelf.exists(kind, name, digest):
                self._clear(kind, name, digest, frozenset())

    def prune(self, old: Manifest) -> None:
        """Removes a version. Files that another version shares stay."""
        with self._marked(old.kind, old.name):
            self._blobs.remove_file(f"{folder(old)}/manifest.json")
            self._clear(old.kind, old.name, old.digest, frozenset(part.file for part in old.parts))

    def withdraw(self, manifest: Manifest) -> None:
        """Takes back a version that was committed this moment and is not whole."""
        self._blobs.remove_file(f"{folder(manifest)}/manifest.json")

    def settle(self, manifest: Manifest) -> None:
        """Waits until nothing is being removed beside a version committed just now. What was removed is gone then, and what is
        removed later spares its files."""
        top, deadline = path(manifest.kind, manifest.name, "removing"), time.monotonic() + PATIENCE_S
        while self._fresh(manifest, top):
            if time.monotonic() > deadline:
                self.withdraw(manifest)
                raise StoreError(
                    f"{short(manifest.name, manifest.digest)}: versions of {manifest.name} are being removed", hint="run it again"
                )
            time.sleep(0.05)

    def _fresh(self, manifest: Manifest, top: str) -> tuple[str, ...]:
        """Marks of processes that may be alive: of another machine, as long as they are young by the store's own clock."""
        now = self._blobs.changed(f"{folder(manifest)}/manifest.json")
        found = {mark: self._blobs.changed(f"{top}/{mark}") for mark in self._blobs.files(top)}
        young = (mark for mark, at in found.items() if at and (now is None or now - at < ABANDONED))
        return tuple(mark for mark in young if not living.known_dead(self._blobs.read(f"{top}/{mark}") or b""))

    def _clear(self, kind: Kind, name: str, digest: str, also: frozenset[str]) -> None:
        top = path(kind, name, digest)
        self._blobs.destroy_file(f"{top}/key.json")
        self._blobs.remove(f"{top}/done")
        self._remove_unnamed(kind, name, self._files(top, digest) | also)
        if not self._blobs.files(f"{top}/parts"):
            self._blobs.remove(top)

    def _remove_unnamed(self, kind: Kind, name: str, files: set[str] | frozenset[str]) -> None:
        """A manifest that cannot be read stops it: what it names is not known."""
        if not files:
            return
        named = {part.file for manifest in self._shelf.named(kind, name) for part in manifest.parts}
        for file in sorted(files - named):
            self._blobs.remove_file(path(kind, name, file))

    def _files(self, top: str, digest: str) -> set[str]:
        return {f"{digest}/parts/{file}" for file in self._blobs.files(f"{top}/parts")}

    @contextmanager
    def _marked(self, kind: Kind, name: str) -> Iterator[None]:
        mark = path(kind, name, f"removing/{os.urandom(8).hex()}")
        self._blobs.write(mark, living.myself())
        try:
            yield
        finally:
            with suppress(StoreError):
                self._blobs.remove_file(mark)
