"""Shelf: signed manifests and keys in their folders. Which versions there are, and what makes one exist.

datasets/<name>/latest/, tags/              pointers (see pointers.py)
datasets/<name>/<digest>/manifest.json      signed; written last, and never replaced
datasets/<name>/<digest>/key.json           signed; the version's keys, wrapped: rotation rewrites it, destroying it shreds the version
datasets/<name>/<digest>/parts/             sealed files; a later version may name them too
datasets/<name>/<digest>/done/              receipts of finished work, while there is no manifest
models/<name>/...                           the same
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from mlray.errors import KeyringError, StoreError, TamperError
from mlray.vault import version, witness
from mlray.vault.blobs import Blobs
from mlray.vault.notary import KEYS, MANIFEST, Notary
from mlray.vault.pointers import LATEST, Pointers
from mlray.vault.version import Kind, Manifest, Part, VersionKeys
from mlray.vault.witness import Witness

KINDS: tuple[Kind, ...] = ("dataset", "model")
NO_VERSION = frozenset({LATEST, "tags", "removing", "subjects"})  # folders beside the versions


class Shelf:
    """Versions by kind, name and digest. A signature is checked before anything else of what it covers is used."""

    def __init__(self, blobs: Blobs, notary: Notary, seen: Witness) -> None:
        self._blobs, self._notary, self._witness = blobs, notary, seen
        self.pointers = Pointers(blobs, notary, seen)

    def claim(self, manifest: Manifest) -> Manifest:
        """Makes the version exist in one atomic step. Returns the manifest that counts: another run's, if that was first."""
        line = version.encode(manifest)
        self._blobs.claim(f"{folder(manifest)}/manifest.json", self._notary.sign(MANIFEST, line))
        if not self.exists(manifest.kind, manifest.name, manifest.digest):
            what = version.short(manifest.name, manifest.digest)
            raise StoreError(f"{what}: its manifest is gone again", hint="it was discarded or pruned meanwhile; make it again")
        return self.manifest(manifest.kind, manifest.name, manifest.digest)

    def exists(self, kind: Kind, name: str, digest: str) -> bool:
        return "manifest.json" in self._blobs.files(f"{kind}s/{name}/{digest}")

    def manifest(self, kind: Kind, name: str, digest: str) -> Manifest:
        """Raises StoreError when there is none, TamperError when it was changed, rolled back or made for another place."""
        return self._manifest(kind, name, digest)[0]

    def _manifest(self, kind: Kind, name: str, digest: str) -> tuple[Manifest, bytes]:
        what, before = version.short(name, digest), self._witness.last(f"{kind}-{name}", digest)
        data = self._blobs.read(f"{kind}s/{name}/{digest}/manifest.json")
        if data is None:
            raise StoreError(f"{what}: no such {kind} version in this vault")
        line = self._notary.read(MANIFEST, data, f"{what}: its manifest")
        try:
            found = version.decode(line)
        except (ValueError, KeyError, TypeError) as newer:
            raise StoreError(f"{what}: a manifest this mlray cannot read", hint="upgrade mlray") from newer
        if (found.kind, found.name, found.digest) != (kind, name, digest):
            raise TamperError(f"{what}: its manifest belongs to the {found.kind} {version.short(found.name, found.digest)}")
        self._witness.see(f"{kind}-{name}", digest, witness.made(found.created, line), f"{what}: its manifest", before)
        return found, line

    def claim_keys(self, kind: Kind, name: str, digest: str, keys: VersionKeys) -> VersionKeys:
        """The version's keys: these, or those of the run that was first."""
        line = version.encode_keys(kind, name, digest, keys)
        self._blobs.claim(f"{kind}s/{name}/{digest}/key.json", self._notary.sign(KEYS, line))
        return self.keys(kind, name, digest)

    def write_keys(self, kind: Kind, name: str, digest: str, keys: VersionKeys) -> None:
        """The same keys, wrapped anew. The write is whole or did not happen, so the version can be read at any moment."""
        line = version.encode_keys(kind, name, digest, keys)
        self._blobs.write(f"{kind}s/{name}/{digest}/key.json", self._notary.sign(KEYS, line))

    def keys(self, kind: Kind, name: str, digest: str) -> VersionKeys:
        """Raises KeyringError when they were destroyed, TamperError when they were changed or lie in the wrong place."""
        what = f"{version.short(name, digest)}: its key.json"
        data = self._blobs.read(f"{kind}s/{name}/{digest}/key.json")
        if data is None:
            hint = "destroyed keys do not come back: prune the version, and make it again if you may"
            raise KeyringError(f"{what} is gone, and with it the keys of all its files", hint=hint)
        line = self._notary.read(KEYS, data, what)
        try:
            place, keys = version.decode_keys(line)
        except (ValueError, KeyError, TypeError) as newer:
            raise StoreError(f"{what} cannot be read by this mlray", hint="upgrade mlray") from newer
        if place != (kind, name, digest):
            raise TamperError(f"{what} belongs to the {place[0]} {version.short(place[1], place[2])}")
        return keys

    def shred(self, kind: Kind, name: str, digest: str) -> None:
        """Destroys the keys. What they sealed stays, and nobody can read it."""
        self._blobs.destroy_file(f"{kind}s/{name}/{digest}/key.json")

    def stored(self, manifest: Manifest, part: Part) -> bytes:
        """The sealed bytes of a part, as committed. Raises TamperError naming it before any parser sees other bytes."""
        what = f"{version.short(manifest.name, manifest.digest)}: part {part.name}"
        repair = f"restore it from your backup, or remove {folder(manifest)} from the store and make the version again"
        sealed = self._blobs.read(path(manifest.kind, manifest.name, part.file))
        if sealed is None:
            raise TamperError(f"{what} is gone ({part.file})", hint=repair)
        if len(sealed) != part.bytes or version.digest_bytes(sealed) != part.digest:
            raise TamperError(f"{what} was changed after it was committed ({part.file})", hint=repair)
        return sealed

    def missing(self, kind: Kind, name: str, parts: Iterable[Part]) -> tuple[Part, ...]:
        """Those whose file is not there in its full length: one listing for each folder, and no byte read."""
        wanted = defaultdict[str, list[Part]](list)
        for part in parts:
            wanted[part.file.rpartition("/")[0]].append(part)
        there = {f"{top}/{file}": size for top in wanted for file, size in self._blobs.sizes(path(kind, name, top)).items()}
        return tuple(part for group in wanted.values() for part in group if there.get(part.file) != part.bytes)

    def point(self, kind: Kind, name: str, digest: str, tag: str = LATEST) -> None:
        """Makes the tag mean this version."""
        _, line = self._manifest(kind, name, digest)
        self.pointers.move(kind, name, digest, version.digest_bytes(line), tag)

    def resolve(self, kind: Kind, name: str, wanted: str) -> str:
        """The digest of the version a person means: `latest`, a tag, a digest, or how one begins. Raises StoreError with what there is."""
        if wanted == LATEST or wanted in self.pointers.tags(kind, name):
            return self._pointed(kind, name, wanted)
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
        folders = self._blobs.folders(f"{kind}s/{name}")
        return tuple(digest for digest in folders if digest not in NO_VERSION and self.exists(kind, name, digest))

    def named(self, kind: Kind, name: str) -> tuple[Manifest, ...]:
        """All committed versions of one name, oldest first."""
        found = [self.manifest(kind, name, digest) for digest in self.digests(kind, name)]
        return tuple(sorted(found, key=lambda manifest: manifest.created))

    def every(self, kind: Kind) -> tuple[Manifest, ...]:
        """All committed versions, by name, oldest first."""
        return tuple(manifest for name in self._blobs.folders(f"{kind}s") for manifest in self.named(kind, name))

    def _pointed(self, kind: Kind, name: str, tag: str) -> str:
        found = self.pointers.find(kind, name, tag)
        if found is None:
            raise StoreError(f"no {kind} named {name!r} in this vault", hint=_known(self._blobs.folders(f"{kind}s"), f"{kind}s"))
        if not self.exists(kind, name, found.digest):
            raise StoreError(
                f"{name}@{tag}: {version.short(name, found.digest)} is no longer here", hint=_known(self.digests(kind, name), "versions")
            )
        if version.digest_bytes(self._manifest(kind, name, found.digest)[1]) != found.manifest:
            raise TamperError(f"{name}@{tag}: the manifest of {version.short(name, found.digest)} is not the one it was pointed to")
        return found.digest


def folder(manifest: Manifest) -> str:
    return path(manifest.kind, manifest.name, manifest.digest)


def path(kind: Kind, name: str, below: str) -> str:
    return f"{kind}s/{name}/{below}"


def _known(names: Sequence[str], what: str) -> str:
    return f"there are {', '.join(name[: version.SHORT] for name in names)}" if names else f"there are no {what} yet"
