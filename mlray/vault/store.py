"""Vault: sealed datasets and models on any filesystem URI. Workers are sent its address and drafts, never keys."""

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
from mlray.vault.shelf import Shelf
from mlray.vault.version import DatasetVersion, Json, Kind, Lineage, Manifest, ModelVersion, Part

Schema = tuple[tuple[str, str], ...]
Rejected = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class VaultAddress:
    """Where a vault is (a filesystem URI) and where its keyring lies (a path on every node). Holds no secret."""

    store: str
    keyring: str

    def open(self) -> Vault:
        return Vault(self)


@dataclass(frozen=True, slots=True)
class Draft:
    """A version being written. Its key is wrapped, so it may travel to workers."""

    address: VaultAddress
    kind: Kind
    name: str
    digest: str
    id: str
    key: WrappedKey

    @property
    def folder(self) -> str:
        return f"{self.kind}s/{self.name}/{self.digest}"

    def manifest(
        self, parts: Sequence[Part], now: datetime, schema: Schema, rejected: Rejected, lineage: Lineage, about: dict[str, Json]
    ) -> Manifest:
        ordered = tuple(sorted(parts, key=lambda part: (part.split, part.name)))
        return Manifest(self.kind, self.name, self.digest, now, self.key, ordered, schema, rejected, tuple(sorted(lineage)), about)


class Vault:
    """Reads and writes versions. Reading never makes a keyring; the first write does."""

    def __init__(self, address: VaultAddress) -> None:
        self.address = address
        self._blobs = Blobs(address.store)
        self._shelf = Shelf(self._blobs, lambda: self.keyring)

    @cached_property
    def keyring(self) -> Keyring:
        return open_keyring(Path(self.address.keyring), create=False)

    def make_keyring(self) -> Keyring:
        """The keyring, made if this home has none yet."""
        return open_keyring(Path(self.address.keyring), create=True)

    def draft_dataset(self, name: str, version_digest: str) -> Draft:
        return self._draft("dataset", name, version_digest)

    def write_part(self, draft: Draft, name: str, split: str, table: pa.Table) -> Part:
        """Seals one table. Writing a part again makes another file: the Part that is committed says which one counts."""
        file = f"{draft.id}/{name}-{os.urandom(8).hex()}.parquet"
        sealed = sealing.seal_table(self._key(draft), table, _context(draft, name, file))
        self._blobs.write(f"{draft.folder}/{file}", sealed)
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
        sealing.check_types(schema, draft.folder)
        columns = tuple((field.name, str(field.type)) for field in schema)
        manifest = draft.manifest(parts, datetime.now(UTC), columns, tuple(sorted((rejected or {}).items())), lineage, about or {})
        return DatasetVersion(draft.name, draft.digest, self._shelf.commit(manifest))

    def discard(self, draft: Draft) -> None:
        """Removes what a draft wrote. A committed version names another draft's files, so it is not touched."""
        self._blobs.remove(f"{draft.folder}/{draft.id}")

    def known_dataset(self, name: str, digest: str) -> DatasetVersion | None:
        """The version of exactly this digest, if it was committed; it is then the latest again."""
        if not self._shelf.exists("dataset", name, digest):
            return None
        found = DatasetVersion(name, digest, self._shelf.manifest("dataset", name, digest))
        self._shelf.point("dataset", name, digest)
        return found

    def find_dataset(self, name: str, version: str = "latest") -> DatasetVersion:
        """By digest, its first characters, or `latest`. Raises StoreError when there is none, TamperError when it was changed."""
        digest = self._shelf.resolve("dataset", name, version)
        return DatasetVersion(name, digest, self._shelf.manifest("dataset", name, digest))

    def read(self, dataset: DatasetVersion, split: str, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows of one split, in order. Every part is checked before any of its rows is used."""
        parts = dataset.manifest.of(split)
        if not parts:
            there = ", ".join(dataset.manifest.splits)
            raise StoreError(f"{dataset}: no rows in split {split!r}", hint=f"there are {there}" if there else "it is empty")
        return pa.concat_tables([self.read_part(dataset, part, columns) for part in parts])

    def read_part(self, dataset: DatasetVersion, part: Part, columns: Sequence[str] | None = None) -> pa.Table:
        manifest = dataset.manifest
        return sealing.open_table(
            self._key(manifest), self._shelf.stored(manifest, part), _context(manifest, part.name, part.file), columns
        )

    def datasets(self) -> tuple[DatasetVersion, ...]:
        """Every committed version, by name, oldest first."""
        return tuple(DatasetVersion(found.name, found.digest, found) for found in self._shelf.every("dataset"))

    def commit_model(self, name: str, files: Mapping[str, bytes], about: dict[str, Json], lineage: Lineage = ()) -> ModelVersion:
        """Seals the files and names the version by their content. The same content again is the same version."""
        digest = version.model_digest(name, files)
        draft = self._draft("model", name, digest)
        parts = [self._write_file(draft, file, data) for file, data in sorted(files.items())]
        return ModelVersion(name, digest, self._shelf.commit(draft.manifest(parts, datetime.now(UTC), (), (), lineage, about)))

    def find_model(self, name: str, version: str = "latest") -> ModelVersion:
        digest = self._shelf.resolve("model", name, version)
        return ModelVersion(name, digest, self._shelf.manifest("model", name, digest))

    def open_model(self, model: ModelVersion) -> dict[str, bytes]:
        """File name -> bytes. Nothing is returned unless all of it is what was committed.

        XGBoost's own loader crashed on 21 of 150 changed models, so no byte may reach it unchecked.
        """
        manifest = model.manifest
        files = {part.name: self._open_file(manifest, part) for part in manifest.parts}
        if version.model_digest(model.name, files) != model.digest:
            raise TamperError(f"{model}: its files do not make up this version")
        return files

    def models(self) -> tuple[ModelVersion, ...]:
        """Every committed version, by name, oldest first."""
        return tuple(ModelVersion(found.name, found.digest, found) for found in self._shelf.every("model"))

    def verify(self, found: DatasetVersion | ModelVersion) -> None:
        """Reads all of it again, manifest included. Raises TamperError naming the first part that is not what was committed."""
        manifest = self._shelf.manifest(found.manifest.kind, found.name, found.digest)
        if isinstance(found, ModelVersion):
            self.open_model(ModelVersion(found.name, found.digest, manifest))
            return
        for part in manifest.parts:
            if self.read_part(DatasetVersion(found.name, found.digest, manifest), part).num_rows != part.rows:
                raise TamperError(f"{found}: part {part.name} does not hold {part.rows} rows")

    def is_sealed(self, found: DatasetVersion | ModelVersion) -> bool:
        """Whether every stored file of the version begins as sealed files do; the bytes are looked at, not the manifest."""
        stored = (self._shelf.stored(found.manifest, part) for part in found.manifest.parts)
        return all(data.startswith(sealing.MAGICS) for data in stored)

    def _draft(self, kind: Kind, name: str, digest: str) -> Draft:
        """A keyring is made for an empty vault alone. In any other it was lost, and a second one would hide that."""
        keyring = open_keyring(Path(self.address.keyring), create=self._shelf.empty)
        _, wrapped = keyring.new_key(f"{kind} {name}@{digest}")
        return Draft(self.address, kind, name, digest, f"draft-{os.urandom(8).hex()}", wrapped)

    def _key(self, owner: Draft | Manifest) -> DataKey:
        return self.keyring.unwrap(owner.key, f"{owner.kind} {owner.name}@{owner.digest}")

    def _write_file(self, draft: Draft, name: str, data: bytes) -> Part:
        file = f"{draft.id}/{name}-{os.urandom(8).hex()}.sealed"
        sealed = sealing.seal_bytes(self._key(draft), data, _context(draft, name, file))
        self._blobs.write(f"{draft.folder}/{file}", sealed)
        return Part(name, file, "", 0, len(sealed), version.digest_bytes(sealed))

    def _open_file(self, manifest: Manifest, part: Part) -> bytes:
        return sealing.open_bytes(self._key(manifest), self._shelf.stored(manifest, part), _context(manifest, part.name, part.file))


def _context(owner: Draft | Manifest, part: str, file: str) -> str:
    """What a file is: it is bound into its key and its associated data, so it opens nowhere else."""
    return f"{owner.kind} {owner.name}@{owner.digest}: part {part} ({file})"
