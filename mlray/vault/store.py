"""Vault: sealed parts and signed manifests on any filesystem URI; a commit is one atomic step.

    datasets/<name>/latest                              signed pointer to the version committed (or asked for again) last
    datasets/<name>/<digest>/manifest.json              signed; written last, and never replaced
    datasets/<name>/<digest>/<draft>/<part>-<random>.parquet
    models/<name>/...                                   the same, with <file>-<random>.sealed

Every draft writes below its own folder, under its own data key. A run that dies leaves no manifest, only a folder that the
next commit of that version removes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from mlray.errors import StoreError, TamperError
from mlray.vault import sealing, version
from mlray.vault.blobs import Blobs
from mlray.vault.keyring import DataKey, Keyring, WrappedKey
from mlray.vault.kms import open_keyring
from mlray.vault.version import DatasetVersion, Json, Kind, Lineage, Manifest, ModelVersion, Part

REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class VaultAddress:
    """Where a vault is and where its keyring lies. Holds no secret: send this, never a Vault."""

    store: str
    keyring: str

    def open(self) -> Vault:
        return Vault(self)


@dataclass(frozen=True, slots=True)
class Draft:
    """A version being written. Holds its key wrapped only, so it may travel to workers."""

    address: VaultAddress
    kind: Kind
    name: str
    digest: str
    id: str
    key: WrappedKey

    @property
    def context(self) -> str:
        return _context(self.kind, self.name, self.digest)


class Vault:
    """Reads and writes versions. Reading never makes a keyring; writing makes the first one."""

    def __init__(self, address: VaultAddress) -> None:
        self.address = address
        self._blobs = Blobs(address.store)

    @cached_property
    def keyring(self) -> Keyring:
        return open_keyring(Path(self.address.keyring), create=False)

    def make_keyring(self) -> Keyring:
        """The keyring, made if this home has none yet."""
        return open_keyring(Path(self.address.keyring), create=True)

    # datasets -------------------------------------------------------------------------------------------------------------------

    def draft_dataset(self, name: str, version_digest: str) -> Draft:
        return self._draft("dataset", name, version_digest)

    def write_part(self, draft: Draft, name: str, split: str, table: pa.Table) -> Part:
        """Seals one table. Writing a part again makes another file: the Part says which one counts."""
        file = f"{draft.id}/{name}-{os.urandom(8).hex()}.parquet"
        sealed = sealing.seal_table(self._key(draft), table, f"{draft.context}/{name}/{file}")
        self._blobs.write(f"{_folder(draft.kind, draft.name, draft.digest)}/{file}", sealed)
        return Part(name, file, split, table.num_rows, len(sealed), version.digest_bytes(sealed))

    def commit_dataset(
        self,
        draft: Draft,
        parts: Sequence[Part],
        *,
        schema: pa.Schema,
        lineage: Lineage,
        rejected: Mapping[str, int] | None = None,
        about: dict[str, Json] | None = None,
    ) -> DatasetVersion:
        """Makes the version exist, in one step. When another run committed it meanwhile, that one is returned."""
        sealing.check_types(schema, draft.context)
        columns = tuple((field.name, str(field.type)) for field in schema)
        counts = tuple(sorted((rejected or {}).items()))
        manifest = self._commit(draft, parts, schema=columns, rejected=counts, lineage=lineage, about=about or {})
        return DatasetVersion(draft.name, draft.digest, manifest)

    def discard(self, draft: Draft) -> None:
        """Removes what a draft wrote; a committed version is not touched, for it names another draft's files."""
        self._blobs.remove(f"{_folder(draft.kind, draft.name, draft.digest)}/{draft.id}")

    def find_dataset(self, name: str, version: str = "latest") -> DatasetVersion:
        """By digest, its first characters, or `latest`. Raises StoreError when there is none, TamperError when it was changed."""
        digest = self._resolve("dataset", name, version)
        return DatasetVersion(name, digest, self._manifest("dataset", name, digest))

    def known_dataset(self, name: str, digest: str) -> DatasetVersion | None:
        """The version of exactly this digest, if it was committed; it is then the latest again."""
        if self._blobs.read(f"{_folder('dataset', name, digest)}/manifest.json") is None:
            return None
        found = DatasetVersion(name, digest, self._manifest("dataset", name, digest))
        self._point("dataset", name, digest)
        return found

    def read(self, dataset: DatasetVersion, split: str, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows of one split, in order. Every part is checked before any of its rows is used."""
        parts = dataset.manifest.of(split)
        if not parts:
            there = ", ".join(dataset.manifest.splits)
            raise StoreError(f"{dataset}: no rows in split {split!r}", hint=f"there are {there}" if there else "it is empty")
        return pa.concat_tables([self.read_part(dataset, part, columns) for part in parts])

    def read_part(self, dataset: DatasetVersion, part: Part, columns: Sequence[str] | None = None) -> pa.Table:
        manifest = dataset.manifest
        sealed = self._stored(manifest, part)
        context = f"{_context('dataset', manifest.name, manifest.digest)}/{part.name}/{part.file}"
        return sealing.open_table(self._key(manifest), sealed, context, columns)

    def verify(self, found: DatasetVersion | ModelVersion) -> None:
        """Reads all of it again. Raises TamperError naming the first part that is not what was committed."""
        again = self._manifest(found.manifest.kind, found.name, found.digest)
        if isinstance(found, ModelVersion):
            self.open_model(ModelVersion(found.name, found.digest, again))
            return
        for part in again.parts:
            if self.read_part(DatasetVersion(found.name, found.digest, again), part).num_rows != part.rows:
                raise TamperError(f"{found}: part {part.name} does not hold {part.rows} rows")

    # models ---------------------------------------------------------------------------------------------------------------------

    def commit_model(self, name: str, files: Mapping[str, bytes], about: dict[str, Json], lineage: Lineage = ()) -> ModelVersion:
        """Seals the files and names the version by their content. The same content again is the same version."""
        digest = version.model_digest(name, files)
        draft = self._draft("model", name, digest)
        parts = [self._write_file(draft, file, data) for file, data in sorted(files.items())]
        return ModelVersion(name, digest, self._commit(draft, parts, schema=(), rejected=(), lineage=lineage, about=about))

    def find_model(self, name: str, version: str = "latest") -> ModelVersion:
        digest = self._resolve("model", name, version)
        return ModelVersion(name, digest, self._manifest("model", name, digest))

    def open_model(self, model: ModelVersion) -> dict[str, bytes]:
        """File name -> bytes. Nothing is returned unless all of it is what was committed: parsers of models are no place for doubt."""
        key, manifest = self._key(model.manifest), model.manifest
        where = _context("model", manifest.name, manifest.digest)
        files = {
            part.name: sealing.open_bytes(key, self._stored(manifest, part), f"{where}/{part.name}/{part.file}") for part in manifest.parts
        }
        if version.model_digest(model.name, files) != model.digest:
            raise TamperError(f"{model}: its files do not make up this version")
        return files

    def datasets(self) -> tuple[DatasetVersion, ...]:
        """Every committed version, by name, oldest first."""
        return tuple(DatasetVersion(m.name, m.digest, m) for m in self._all("dataset"))

    def models(self) -> tuple[ModelVersion, ...]:
        return tuple(ModelVersion(m.name, m.digest, m) for m in self._all("model"))

    # both -----------------------------------------------------------------------------------------------------------------------

    def _draft(self, kind: Kind, name: str, digest: str) -> Draft:
        _, wrapped = self.make_keyring().new_key(_context(kind, name, digest))
        return Draft(self.address, kind, name, digest, f"draft-{os.urandom(8).hex()}", wrapped)

    def _key(self, owner: Draft | Manifest) -> DataKey:
        return self.keyring.unwrap(owner.key, _context(owner.kind, owner.name, owner.digest))

    def _write_file(self, draft: Draft, name: str, data: bytes) -> Part:
        file = f"{draft.id}/{name}-{os.urandom(8).hex()}.sealed"
        sealed = sealing.seal_bytes(self._key(draft), data, f"{draft.context}/{name}/{file}")
        self._blobs.write(f"{_folder(draft.kind, draft.name, draft.digest)}/{file}", sealed)
        return Part(name, file, "", 0, len(sealed), version.digest_bytes(sealed))

    def _commit(self, draft: Draft, parts: Sequence[Part], *, schema, rejected, lineage, about) -> Manifest:  # type: ignore[no-untyped-def]
        ordered = tuple(sorted(parts, key=lambda part: (part.split, part.name)))
        manifest = Manifest(
            draft.kind, draft.name, draft.digest, datetime.now(UTC), draft.key, ordered, schema, rejected, tuple(sorted(lineage)), about
        )
        line = version.encode(manifest)
        folder = _folder(draft.kind, draft.name, draft.digest)
        self._blobs.claim(f"{folder}/manifest.json", version.join_signature(line, self.keyring.sign(version.SIGNED + line)))
        kept = self._manifest(draft.kind, draft.name, draft.digest)
        self._point(draft.kind, draft.name, draft.digest)
        self._sweep(folder, kept)
        return kept

    def _sweep(self, folder: str, kept: Manifest) -> None:
        """Removes what did not become this version: other drafts, and files of tasks that ran twice."""
        named = {part.file for part in kept.parts}
        for draft in self._blobs.folders(folder):
            for name in self._blobs.files(f"{folder}/{draft}"):
                if f"{draft}/{name}" not in named:
                    self._blobs.remove_file(f"{folder}/{draft}/{name}")
            if not self._blobs.files(f"{folder}/{draft}"):
                self._blobs.remove(f"{folder}/{draft}")

    def _manifest(self, kind: Kind, name: str, digest: str) -> Manifest:
        """Checked in this order: the signature, then that it was made for this place. Only then is it used."""
        what = version.short(name, digest)
        data = self._blobs.read(f"{_folder(kind, name, digest)}/manifest.json")
        if data is None:
            raise StoreError(f"{what}: no such {kind} version in this vault")
        line, signature = version.split_signature(data, what)
        self._verify(line, signature, version.SIGNED, f"{what}: manifest")
        try:
            manifest = version.decode(line)
        except (ValueError, KeyError, TypeError) as newer:
            raise StoreError(f"{what}: a manifest this mlray cannot read", hint="upgrade mlray") from newer
        if (manifest.kind, manifest.name, manifest.digest) != (kind, name, digest):
            raise TamperError(f"{what}: its manifest belongs to {manifest.kind} {version.short(manifest.name, manifest.digest)}")
        return manifest

    def _stored(self, manifest: Manifest, part: Part) -> bytes:
        what = f"{version.short(manifest.name, manifest.digest)}: part {part.name}"
        sealed = self._blobs.read(f"{_folder(manifest.kind, manifest.name, manifest.digest)}/{part.file}")
        if sealed is None:
            raise TamperError(f"{what} is gone ({part.file})", hint="restore it from your backup, or make the version again")
        if len(sealed) != part.bytes or version.digest_bytes(sealed) != part.digest:
            raise TamperError(f"{what} was changed after it was committed ({part.file})", hint="restore it from your backup")
        return sealed

    def _point(self, kind: Kind, name: str, digest: str) -> None:
        line = f"{kind}/{name}/{digest}".encode()
        self._blobs.write(f"{kind}s/{name}/latest", version.join_signature(line, self.keyring.sign(POINTER + line)))

    def _resolve(self, kind: Kind, name: str, wanted: str) -> str:
        if wanted == "latest":
            return self._latest(kind, name)
        there = self._committed(kind, name)
        found = [digest for digest in there if digest.startswith(wanted)]
        if len(found) != 1:
            what = f"{name}@{wanted}: " + ("no such version" if not found else f"{len(found)} versions begin like this")
            raise StoreError(what, hint=_known(there))
        return found[0]

    def _latest(self, kind: Kind, name: str) -> str:
        data = self._blobs.read(f"{kind}s/{name}/latest")
        if data is None:
            raise StoreError(f"no {kind} named {name!r} in this vault", hint=_known(self._blobs.folders(f"{kind}s"), f"{kind}s"))
        line, signature = version.split_signature(data, f"{name}@latest")
        self._verify(line, signature, POINTER, f"{name}@latest")
        pointed_kind, pointed_name, digest = line.decode().split("/")
        if (pointed_kind, pointed_name) != (kind, name):
            raise TamperError(f"{name}@latest points to {pointed_kind} {pointed_name}")
        return digest

    def _verify(self, line: bytes, signature: version.Signature, domain: bytes, what: str) -> None:
        try:
            self.keyring.verify(domain + line, signature)
        except TamperError as forged:
            raise TamperError(f"{what} was changed after it was signed") from forged

    def _committed(self, kind: Kind, name: str) -> tuple[str, ...]:
        folder = f"{kind}s/{name}"
        return tuple(digest for digest in self._blobs.folders(folder) if "manifest.json" in self._blobs.files(f"{folder}/{digest}"))

    def _all(self, kind: Kind) -> list[Manifest]:
        found = [
            self._manifest(kind, name, digest)
            for name in self._blobs.folders(f"{kind}s")
            for digest in self._committed(kind, name)
        ]
        return sorted(found, key=lambda manifest: (manifest.name, manifest.created))


POINTER = b"mlray latest 1\n"


def _context(kind: Kind, name: str, digest: str) -> str:
    return f"mlray {kind} {name}@{digest}"


def _folder(kind: Kind, name: str, digest: str) -> str:
    return f"{kind}s/{name}/{digest}"


def _known(names: Sequence[str], what: str = "versions") -> str:
    return f"there are {', '.join(name[:version.SHORT] for name in names)}" if names else f"there are no {what} yet"
