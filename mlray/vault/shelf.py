"""Shelf: signed manifests in their folders. Which versions there are, which one is the latest, and what makes one exist.

    datasets/<name>/latest                      signed pointer to the version committed, or asked for again, last
    datasets/<name>/<digest>/manifest.json      signed; written last, and never replaced
    datasets/<name>/<digest>/<draft>/...        the sealed files of the draft that became the version
    models/<name>/...                           the same

Every draft writes below its own folder. A run that dies leaves no manifest, only a folder, which the next commit of that
version removes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mlray.errors import StoreError, TamperError
from mlray.vault import version
from mlray.vault.blobs import Blobs
from mlray.vault.keyring import Keyring, Signature
from mlray.vault.version import Kind, Manifest, Part

MANIFEST = b"mlray manifest 1\n"
POINTER = b"mlray latest 1\n"
KINDS: tuple[Kind, ...] = ("dataset", "model")


class Shelf:
    """Versions by kind, name and digest. A manifest's signature is checked before anything else of it is used."""

    def __init__(self, blobs: Blobs, keyring: Callable[[], Keyring]) -> None:
        self._blobs, self._keyring = blobs, keyring

    def commit(self, manifest: Manifest) -> Manifest:
        """Makes the version exist in one atomic step. Returns the manifest that counts: another run's, if that was first."""
        kind, name, digest = manifest.kind, manifest.name, manifest.digest
        line = version.encode(manifest)
        self._blobs.claim(f"{folder(manifest)}/manifest.json", version.join_signature(line, self._keyring().sign(MANIFEST + line)))
        kept = self.manifest(kind, name, digest)
        self.point(kind, name, digest)
        self._sweep(kept)
        return kept

    def exists(self, kind: Kind, name: str, digest: str) -> bool:
        return "manifest.json" in self._blobs.files(f"{kind}s/{name}/{digest}")

    def manifest(self, kind: Kind, name: str, digest: str) -> Manifest:
        """Raises StoreError when there is none, TamperError when it was changed or made for another place."""
        what = version.short(name, digest)
        data = self._blobs.read(f"{kind}s/{name}/{digest}/manifest.json")
        if data is None:
            raise StoreError(f"{what}: no such {kind} version in this vault")
        line, signature = version.split_signature(data, what)
        self._verify(MANIFEST + line, signature, f"{what}: its manifest")
        try:
            found = version.decode(line)
        except (ValueError, KeyError, TypeError) as newer:
            raise StoreError(f"{what}: a manifest this mlray cannot read", hint="upgrade mlray") from newer
        if (found.kind, found.name, found.digest) != (kind, name, digest):
            raise TamperError(f"{what}: its manifest belongs to the {found.kind} {version.short(found.name, found.digest)}")
        return found

    def stored(self, manifest: Manifest, part: Part) -> bytes:
        """The sealed bytes of a part, as committed. Raises TamperError naming it before any parser sees other bytes."""
        what = f"{version.short(manifest.name, manifest.digest)}: part {part.name}"
        repair = f"restore it from your backup, or remove {folder(manifest)} from the store and make the version again"
        sealed = self._blobs.read(f"{folder(manifest)}/{part.file}")
        if sealed is None:
            raise TamperError(f"{what} is gone ({part.file})", hint=repair)
        if len(sealed) != part.bytes or version.digest_bytes(sealed) != part.digest:
            raise TamperError(f"{what} was changed after it was committed ({part.file})", hint=repair)
        return sealed

    def point(self, kind: Kind, name: str, digest: str) -> None:
        """Makes this version the latest."""
        line = f"{kind}/{name}/{digest}".encode()
        self._blobs.write(f"{kind}s/{name}/latest", version.join_signature(line, self._keyring().sign(POINTER + line)))

    def resolve(self, kind: Kind, name: str, wanted: str) -> str:
        """The digest of the version a person means: `latest`, a digest, or how one begins. Raises StoreError with what there is."""
        if wanted == "latest":
            return self._latest(kind, name)
        there = self.digests(kind, name)
        found = [digest for digest in there if digest.startswith(wanted)]
        if len(found) == 1:
            return found[0]
        why = f"{len(found)} versions begin like this" if found else f"no such {kind} version in this vault"
        raise StoreError(f"{name}@{wanted}: {why}", hint=_known(there, "versions"))

    @property
    def empty(self) -> bool:
        """Whether nothing was ever written here. A keyring comes before the first folder, so two first runs agree."""
        return not any(self._blobs.folders(f"{kind}s") for kind in KINDS)

    def digests(self, kind: Kind, name: str) -> tuple[str, ...]:
        return tuple(digest for digest in self._blobs.folders(f"{kind}s/{name}") if self.exists(kind, name, digest))

    def every(self, kind: Kind) -> tuple[Manifest, ...]:
        """All committed versions, by name, oldest first."""
        names = self._blobs.folders(f"{kind}s")
        found = [self.manifest(kind, name, digest) for name in names for digest in self.digests(kind, name)]
        return tuple(sorted(found, key=lambda manifest: (manifest.name, manifest.created)))

    def _latest(self, kind: Kind, name: str) -> str:
        data = self._blobs.read(f"{kind}s/{name}/latest")
        if data is None:
            raise StoreError(f"no {kind} named {name!r} in this vault", hint=_known(self._blobs.folders(f"{kind}s"), f"{kind}s"))
        line, signature = version.split_signature(data, f"{name}@latest")
        self._verify(POINTER + line, signature, f"{name}@latest")
        prefix, _, digest = line.decode().rpartition("/")
        if prefix != f"{kind}/{name}":
            raise TamperError(f"{name}@latest points to {prefix}")
        return digest

    def _verify(self, signed: bytes, signature: Signature, what: str) -> None:
        try:
            self._keyring().verify(signed, signature)
        except TamperError as forged:
            raise TamperError(f"{what} was changed after it was signed", hint="restore it from your backup") from forged

    def _sweep(self, kept: Manifest) -> None:
        """Removes what did not become this version: other drafts, and files of tasks that ran twice."""
        top, named = folder(kept), {part.file for part in kept.parts}
        for draft in self._blobs.folders(top):
            for file in self._blobs.files(f"{top}/{draft}"):
                if f"{draft}/{file}" not in named:
                    self._blobs.remove_file(f"{top}/{draft}/{file}")
            if not self._blobs.files(f"{top}/{draft}"):
                self._blobs.remove(f"{top}/{draft}")


def folder(manifest: Manifest) -> str:
    return f"{manifest.kind}s/{manifest.name}/{manifest.digest}"


def _known(names: Sequence[str], what: str) -> str:
    return f"there are {', '.join(name[: version.SHORT] for name in names)}" if names else f"there are no {what} yet"
