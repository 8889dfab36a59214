"""Pointers: which version `latest` and each tag mean.

    datasets/<name>/latest/000000000012         signed; the highest number counts
    datasets/<name>/tags/<tag>/000000000003     the same

A pointer moves by claiming the next number, so two that move it at once get two numbers and none is lost. The number only
grows: a lower one than this home has seen is a store that was rolled back.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from mlray.errors import StoreError, TamperError
from mlray.vault import witness
from mlray.vault.blobs import Blobs
from mlray.vault.notary import POINTER, Notary
from mlray.vault.version import Kind
from mlray.vault.witness import Witness

LATEST = "latest"
KEPT = 4  # older numbers stay a while: somebody may be reading one
TRIES = 50  # that many others would have to move the same pointer in between


@dataclass(frozen=True, slots=True)
class Pointer:
    """`manifest` is the digest of the signed line that makes the version: a version made again is another one."""

    digest: str
    manifest: str
    counter: int


class Pointers:
    def __init__(self, blobs: Blobs, notary: Notary, seen: Witness) -> None:
        self._blobs, self._notary, self._witness = blobs, notary, seen

    def move(self, kind: Kind, name: str, digest: str, manifest: str, tag: str = LATEST) -> None:
        """Makes the tag mean this version; nothing is written when it does already."""
        folder, told = _folder(kind, name, tag), f"{name}@{tag}"
        for _ in range(TRIES):
            now = self._stored(kind, name, tag)
            if now and (now.digest, now.manifest) == (digest, manifest) and not self._behind(kind, name, tag, now):
                return
            last = self._witness.last(f"{kind}-{name}", tag)
            counter = 1 + max(now.counter if now else 0, int(last.order) if last else 0)
            line = _line(kind, name, tag, Pointer(digest, manifest, counter))
            if self._blobs.claim(f"{folder}/{counter:012d}", self._notary.sign(POINTER, line)):
                self._witness.remember(f"{kind}-{name}", tag, witness.counted(counter, digest))
                self._trim(folder, counter)
                return
        raise StoreError(f"{told}: others move it all the time", hint="try again")

    def find(self, kind: Kind, name: str, tag: str = LATEST) -> Pointer | None:
        """None when there never was one. Raises TamperError when it was changed or rolled back."""
        before = self._witness.last(f"{kind}-{name}", tag)
        found = self._stored(kind, name, tag)
        if found is None:
            if before:
                raise TamperError(
                    f"{name}@{tag} is gone: this home has seen one", hint="restore it from your backup, or make the version again"
                )
            return None
        self._witness.see(f"{kind}-{name}", tag, witness.counted(found.counter, found.digest), f"{name}@{tag}", before)
        return found

    def tags(self, kind: Kind, name: str) -> tuple[str, ...]:
        return self._blobs.folders(f"{kind}s/{name}/tags")

    def _behind(self, kind: Kind, name: str, tag: str, now: Pointer) -> bool:
        last = self._witness.last(f"{kind}-{name}", tag)
        return last is not None and witness.counted(now.counter, now.digest).older_than(last)

    def _stored(self, kind: Kind, name: str, tag: str) -> Pointer | None:
        for number in reversed(self._blobs.files(_folder(kind, name, tag))):
            data = self._blobs.read(f"{_folder(kind, name, tag)}/{number}")
            if data is not None:
                line = self._notary.read(POINTER, data, f"{name}@{tag}")
                return _pointer(line, (kind, name, tag, number))
        return None

    def _trim(self, folder: str, counter: int) -> None:
        for number in self._blobs.files(folder):
            if number <= f"{counter - KEPT:012d}":
                self._blobs.remove_file(f"{folder}/{number}")


def _folder(kind: Kind, name: str, tag: str) -> str:
    return f"{kind}s/{name}/{LATEST}" if tag == LATEST else f"{kind}s/{name}/tags/{tag}"


def _line(kind: Kind, name: str, tag: str, pointer: Pointer) -> bytes:
    value = {"of": [kind, name, tag], "digest": pointer.digest, "manifest": pointer.manifest, "counter": pointer.counter}
    return json.dumps(value, sort_keys=True).encode()


def _pointer(line: bytes, place: tuple[str, str, str, str]) -> Pointer:
    """What a checked line says, if it was made for the place where it lies."""
    value = json.loads(line)
    kind, name, tag = value["of"]
    if (kind, name, tag, f"{value['counter']:012d}") != place:
        raise TamperError(f"{place[1]}@{place[2]} holds the pointer {kind} {name}@{tag} number {value['counter']}")
    return Pointer(value["digest"], value["manifest"], value["counter"])
