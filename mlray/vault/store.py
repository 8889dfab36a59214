"""Vault: sealed datasets and models on any filesystem URI. Workers are sent its address and drafts, never keys."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from mlray.errors import KeyringError, MlrayError, StoreError, TamperError
from mlray.vault import sealing, tables, version
from mlray.vault.blobs import Blobs
from mlray.vault.broom import Broom
from mlray.vault.by_subject import Subjects
from mlray.vault.columns import Second
from mlray.vault.keyring import KEY_BYTES, SCOPES, DataKey, Keyring, Scope
from mlray.vault.kms import open_keyring
from mlray.vault.notary import Notary
from mlray.vault.opened import Opened, context, place
from mlray.vault.reader import Reader
from mlray.vault.shelf import Shelf, path
from mlray.vault.subject_states import SubjectStates
from mlray.vault.subjects import SubjectKeys
from mlray.vault.tables import Compression, Wanted
from mlray.vault.version import DatasetVersion, FileKeys, Json, Kind, Lineage, Manifest, ModelVersion, Part, VersionKeys
from mlray.vault.witness import Witness

Schema = tuple[tuple[str, str], ...]
Rejected = tuple[tuple[str, int], ...]
THREADS = min(4, os.cpu_count() or 1)  # each decodes whole parts: Arrow's own pool can abort a process that ends right after
TAG = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class VaultAddress:
    """Where a vault is (a filesystem URI) and where its keyring lies (a path on every node). Holds no secret."""

    store: str
    keyring: str

    def open(self) -> Vault:
        return Vault(self)


@dataclass(frozen=True, slots=True)
class Draft:
    """A version being written, by one run or several. Its keys are wrapped, so it may travel to workers.

    Two runs of one version share its keys: what one wrote before it was killed, the next one opens. `id` is of this run alone.
    """

    address: VaultAddress
    kind: Kind
    name: str
    digest: str
    id: str
    keys: VersionKeys

    def manifest(
        self, parts: Sequence[Part], now: datetime, schema: Schema, rejected: Rejected, lineage: Lineage, about: dict[str, Json]
    ) -> Manifest:
        ordered = tuple(sorted(parts, key=lambda part: (part.split, part.name)))
        return Manifest(self.kind, self.name, self.digest, now, ordered, schema, rejected, tuple(sorted(lineage)), about)


class Vault:
    """Reads and writes versions. Reading never makes a keyring; the first write does."""

    def __init__(self, address: VaultAddress) -> None:
        self.address = address
        self._blobs = Blobs(address.store)
        notary, witness = Notary(lambda: self.keyring), Witness(Path(address.keyring), address.store)
        self.shelf = Shelf(self._blobs, notary, witness)
        self.subjects = SubjectStates(self._blobs, notary, witness)
        self._drafts = dict[str, Opened]()
        self._broom = Broom(self._blobs, self.shelf)

    @cached_property
    def keyring(self) -> Keyring:
        return open_keyring(Path(self.address.keyring), create=False)

    def make_keyring(self) -> Keyring:
        """The keyring, made if this home has none yet."""
        return open_keyring(Path(self.address.keyring), create=True)

    def draft_dataset(self, name: str, version_digest: str) -> Draft:
        return self._draft("dataset", name, version_digest)

    def write_part(
        self,
        draft: Draft,
        name: str,
        split: str,
        table: pa.Table,
        sealed: Mapping[str, Scope] | None = None,
        subjects: Subjects | None = None,
        compression: Compression = "zstd",
        work: str = "",
    ) -> Part:
        """Seals one table. Writing a part again makes another file: the Part that is committed says which one counts.

        Columns in `sealed` are sealed a second time, in their scope; with `subjects`, each row's under its own subject's key.
        """
        file, keys = _new_file(draft, name, "parquet"), {scope: _new_key() for scope in ("data", *sorted(set((sealed or {}).values())))}
        where = place(draft.kind, draft.name, file)
        second = Second(sealed, keys, subjects) if sealed else None
        data = tables.seal_table(keys["data"], table, where, compression, second)
        return self._put(draft, Part(name, file, split, table.num_rows, len(data), version.digest_bytes(data), work=work), data, keys)

    def share_part(self, draft: Draft, part: Part, of: DatasetVersion) -> Part:
        """The same file in the new version: its keys are sealed anew, and no byte of it is read or written."""
        (shared,) = self.share_parts(draft, [part], of)
        return shared

    def share_parts(self, draft: Draft, parts: Sequence[Part], of: DatasetVersion) -> tuple[Part, ...]:
        """As `share_part`, with the keys of both versions opened once."""
        if of.name != draft.name:
            raise StoreError(f"{of}: its parts belong to {of.name}, not to {draft.name}")
        before, after = self._opened(of.manifest), self._opened(draft)

        def keys(part: Part, where: str) -> FileKeys:
            return tuple(after.seal(before.file(part, scope), scope, where) for scope, _ in part.keys)

        return tuple(replace(part, keys=keys(part, place(draft.kind, draft.name, part.file))) for part in parts)

    def receipt(self, draft: Draft, work: str, data: bytes) -> None:
        """Notes that a piece of work is done, for a run that begins again."""
        file = f"{draft.digest}/done/{work}.sealed"
        sealed = sealing.seal_bytes(self._opened(draft)["data"], data, place(draft.kind, draft.name, file))
        self._blobs.write(path(draft.kind, draft.name, file), sealed)

    def receipts(self, draft: Draft, works: Collection[str] | None = None) -> dict[str, bytes]:
        """What was noted, by work; or what was noted of these. A receipt whose run died while it wrote is not there."""
        top = f"{draft.digest}/done"
        files = (file for file in self._receipt_files(draft) if works is None or file.removesuffix(".sealed") in works)
        found = {file: self._blobs.read(path(draft.kind, draft.name, f"{top}/{file}")) for file in files}
        key = self._opened(draft)["data"] if found else None
        return {
            file.removesuffix(".sealed"): sealing.open_bytes(key, sealed, place(draft.kind, draft.name, f"{top}/{file}"))
            for file, sealed in found.items()
            if sealed is not None and key
        }

    def commit_dataset(
        self,
        draft: Draft,
        parts: Sequence[Part],
        *,
        schema: pa.Schema,
        lineage: Lineage,
        rejected: Mapping[str, int] | None = None,
        about: dict[str, Json] | None = None,
        tags: Sequence[str] = (),
    ) -> DatasetVersion:
        """Makes the version exist, in one step. When another run committed it meanwhile, that one is returned."""
        tables.check_types(schema, version.short(draft.name, draft.digest))
        columns = tuple((field.name, str(field.type)) for field in schema)
        rejections = tuple(sorted((rejected or {}).items()))
        manifest = self._commit(draft, draft.manifest(parts, datetime.now(UTC), columns, rejections, lineage, about or {}))
        for tag in tags:
            self.shelf.point("dataset", draft.name, draft.digest, _tag(tag))
        return DatasetVersion(draft.name, draft.digest, manifest)

    def discard(self, draft: Draft) -> None:
        """Removes what a draft wrote, its keys included. A version that was committed is not touched."""
        self._broom.discard(draft.kind, draft.name, draft.digest)

    def drafts(self, name: str) -> tuple[str, ...]:
        """Digests of the dataset that were begun and not committed, by runs that died or are at work."""
        begun = self._blobs.folders(f"datasets/{name}")
        keyed = (d for d in begun if "key.json" in self._blobs.files(f"datasets/{name}/{d}"))
        return tuple(digest for digest in keyed if not self.shelf.exists("dataset", name, digest))

    def known_dataset(self, name: str, digest: str) -> DatasetVersion | None:
        """The version of exactly this digest, if it was committed; it is then the latest again.

        Raises KeyringError when its keys were destroyed.
        """
        if not self.shelf.exists("dataset", name, digest):
            return None
        self.shelf.keys("dataset", name, digest)
        found = DatasetVersion(name, digest, self.shelf.manifest("dataset", name, digest))
        self.shelf.point("dataset", name, digest)
        return found

    def find_dataset(self, name: str, version: str = "latest") -> DatasetVersion:
        """By digest, its first characters, a tag, or `latest`. Raises StoreError when there is none, TamperError when it was changed."""
        digest = self.shelf.resolve("dataset", name, version)
        return DatasetVersion(name, digest, self.shelf.manifest("dataset", name, digest))

    def latest_dataset(self, name: str) -> DatasetVersion | None:
        """The latest version, or None where none was committed or the last was pruned. A store that cannot be read is no such place."""
        pointer = self.shelf.pointers.find("dataset", name)
        if pointer is None or not self.shelf.exists("dataset", name, pointer.digest):
            return None
        return self.find_dataset(name)

    def tag(self, found: DatasetVersion | ModelVersion, tag: str) -> None:
        """Gives the version a name of its own, taking it from the one that had it."""
        self.shelf.point(found.manifest.kind, found.name, found.digest, _tag(tag))

    def tags(self, name: str, kind: Kind = "dataset") -> dict[str, str]:
        """Tag -> digest of the version that has it; `latest` is one."""
        found = {tag: self.shelf.pointers.find(kind, name, tag) for tag in (*self.shelf.pointers.tags(kind, name), "latest")}
        return {tag: pointer.digest for tag, pointer in found.items() if pointer}

    def prune(self, found: DatasetVersion | ModelVersion) -> None:
        """Removes a version and the files no other one shares. Raises StoreError for one that is tagged or the latest."""
        held = [tag for tag, digest in self.tags(found.name, found.manifest.kind).items() if digest == found.digest]
        if held:
            raise StoreError(f"{found} is {', '.join(held)}", hint=f"give {held[0]} to another version first")
        self._broom.prune(found.manifest)

    def read(
        self, dataset: DatasetVersion, split: str, columns: Sequence[str] | None = None, filter: pc.Expression | None = None
    ) -> pa.Table:
        """All rows of one split, in order, or some of their columns and rows. Every part is checked before any of its rows is used.

        Columns of a scope this keyring does not open are left out; asked for by name, they raise KeyringError.
        """
        parts = dataset.manifest.of(split)
        if not parts:
            there = ", ".join(dataset.manifest.splits)
            raise StoreError(f"{dataset}: no rows in split {split!r}", hint=f"there are {there}" if there else "it is empty")
        wanted, reader = _wanted(columns, filter), self.reader(dataset)
        with ThreadPoolExecutor(min(THREADS, len(parts))) as several:
            return pa.concat_tables(several.map(partial(reader.table, wanted=wanted), parts))

    def read_part(
        self, dataset: DatasetVersion, part: Part, columns: Sequence[str] | None = None, filter: pc.Expression | None = None
    ) -> pa.Table:
        return self.reader(dataset).table(part, _wanted(columns, filter))

    def reader(self, dataset: DatasetVersion) -> Reader:
        """For parts one by one: the version's keys are opened once."""
        return Reader(self.shelf, self.subjects, self._opened(dataset.manifest), dataset.manifest)

    def file_key(self, dataset: DatasetVersion, part: Part) -> tuple[bytes, bytes]:
        """(key, AAD prefix) with which any reader of encrypted Parquet reads this one file. Whoever has them reads it for good."""
        return self._opened(dataset.manifest).file(part, "data").secret(), place("dataset", dataset.name, part.file).encode()

    def subject_keys(self, name: str) -> SubjectKeys:
        """The keys of a dataset's subjects, made when first asked for. Raises KeyringError without scope personal."""
        return self.subjects.make(name)

    def datasets(self) -> tuple[DatasetVersion, ...]:
        """Every committed version, by name, oldest first."""
        return tuple(DatasetVersion(found.name, found.digest, found) for found in self.shelf.every("dataset"))

    def commit_model(self, name: str, files: Mapping[str, bytes], about: dict[str, Json], lineage: Lineage = ()) -> ModelVersion:
        """Seals the files and names the version by their content. The same content again is the same version."""
        digest = version.model_digest(name, files)
        draft = self._draft("model", name, digest)
        parts = [self._write_file(draft, file, data) for file, data in sorted(files.items())]
        return ModelVersion(name, digest, self._commit(draft, draft.manifest(parts, datetime.now(UTC), (), (), lineage, about)))

    def find_model(self, name: str, version: str = "latest") -> ModelVersion:
        digest = self.shelf.resolve("model", name, version)
        return ModelVersion(name, digest, self.shelf.manifest("model", name, digest))

    def open_model(self, model: ModelVersion) -> dict[str, bytes]:
        """File name -> bytes. Nothing is returned unless all of it is what was committed.

        XGBoost's own loader crashed on 21 of 150 changed models, so no byte may reach it unchecked.
        """
        manifest = model.manifest
        opened = self._opened(manifest)
        files = {part.name: self._open_file(opened, manifest, part) for part in manifest.parts}
        if version.model_digest(model.name, files) != model.digest:
            raise TamperError(f"{model}: its files do not make up this version")
        return files

    def models(self) -> tuple[ModelVersion, ...]:
        """Every committed version, by name, oldest first."""
        return tuple(ModelVersion(found.name, found.digest, found) for found in self.shelf.every("model"))

    def verify(self, found: DatasetVersion | ModelVersion) -> None:
        """Reads all of it again, manifest included. Raises TamperError naming the first part that is not what was committed."""
        manifest = self.shelf.manifest(found.manifest.kind, found.name, found.digest)
        if isinstance(found, ModelVersion):
            self.open_model(ModelVersion(found.name, found.digest, manifest))
            return
        reader = self.reader(DatasetVersion(found.name, found.digest, manifest))
        for part in manifest.parts:
            if reader.table(part).num_rows != part.rows:
                raise TamperError(f"{found}: part {part.name} does not hold {part.rows} rows")

    def is_sealed(self, found: DatasetVersion | ModelVersion) -> bool:
        """Whether every stored file of the version begins as sealed files do; the bytes are looked at, not the manifest."""
        stored = (self.shelf.stored(found.manifest, part) for part in found.manifest.parts)
        return all(data.startswith(sealing.MAGICS) for data in stored)

    def _draft(self, kind: Kind, name: str, digest: str) -> Draft:
        """A keyring is made for an empty vault alone. In any other it was lost, and a second one would hide that."""
        keyring = open_keyring(Path(self.address.keyring), create=self.shelf.empty)
        if self.shelf.exists(kind, name, digest):
            keys = self.shelf.keys(kind, name, digest)
        else:
            held = {master.scope for master in keyring.masters} | {"data"}
            fresh = {scope: keyring.new_key(context(kind, name, digest, scope), scope)[1] for scope in SCOPES if scope in held}
            keys = self.shelf.claim_keys(kind, name, digest, fresh)
        return Draft(self.address, kind, name, digest, f"draft-{os.urandom(8).hex()}", keys)

    def _commit(self, draft: Draft, manifest: Manifest) -> Manifest:
        try:
            self._check_whole(draft, manifest)
        except StoreError:
            if not self.shelf.exists(draft.kind, draft.name, draft.digest):
                raise
            # Another run was first, and has swept what is not its own.
            kept = self.shelf.manifest(draft.kind, draft.name, draft.digest)
        else:
            kept = self.shelf.claim(manifest)
        if kept == manifest:
            self._broom.settle(kept)
            try:
                self._check_whole(draft, kept)
            except MlrayError:
                self._broom.withdraw(kept)
                raise
        self.shelf.point(kept.kind, kept.name, kept.digest)
        self._broom.sweep(kept)
        return kept

    def _check_whole(self, draft: Draft, manifest: Manifest) -> None:
        """Raises StoreError unless the version's keys and all its files are in the store: a draft may be discarded by another run."""
        what, again = version.short(draft.name, draft.digest), "it was discarded or pruned meanwhile; make it again"
        try:
            kept = self._opened(manifest)["data"]
        except KeyringError as gone:
            raise StoreError(f"{what}: the keys of this draft are gone", hint=again) from gone
        if kept.id != self._opened(draft)["data"].id:
            raise StoreError(f"{what}: the keys of this draft were replaced", hint=again)
        for part in self.shelf.missing(draft.kind, draft.name, manifest.parts):
            raise StoreError(f"{what}: part {part.name} is not in the store as it was written ({part.file})", hint=again)

    def _opened(self, owner: Draft | Manifest) -> Opened:
        if not isinstance(owner, Draft):
            return Opened(self.keyring, owner.kind, owner.name, owner.digest, self.shelf.keys(owner.kind, owner.name, owner.digest))
        if owner.id not in self._drafts:  # else each part and each receipt would be a call to the key service
            self._drafts[owner.id] = Opened(self.keyring, owner.kind, owner.name, owner.digest, owner.keys)
        return self._drafts[owner.id]

    def _write_file(self, draft: Draft, name: str, data: bytes) -> Part:
        file, key = _new_file(draft, name, "sealed"), _new_key()
        sealed = sealing.seal_bytes(key, data, place(draft.kind, draft.name, file))
        return self._put(draft, Part(name, file, "", 0, len(sealed), version.digest_bytes(sealed)), sealed, {"data": key})

    def _put(self, draft: Draft, part: Part, data: bytes | pa.Buffer, keys: Mapping[Scope, DataKey]) -> Part:
        """Stores the file, and gives its part the file's keys, sealed under the version's."""
        opened, where = self._opened(draft), place(draft.kind, draft.name, part.file)
        own = tuple(opened.seal(key, scope, where) for scope, key in keys.items())
        self._blobs.write(path(draft.kind, draft.name, part.file), data)
        return replace(part, keys=own)

    def _open_file(self, opened: Opened, manifest: Manifest, part: Part) -> bytes:
        sealed = self.shelf.stored(manifest, part)
        return sealing.open_bytes(opened.file(part, "data"), sealed, place(manifest.kind, manifest.name, part.file))

    def _receipt_files(self, draft: Draft) -> tuple[str, ...]:
        return self._blobs.files(path(draft.kind, draft.name, f"{draft.digest}/done"))


def _new_file(draft: Draft, name: str, ending: str) -> str:
    """A name nobody has."""
    return f"{draft.digest}/parts/{name}-{os.urandom(8).hex()}.{ending}"


def _new_key() -> DataKey:
    return DataKey(os.urandom(KEY_BYTES))


def _wanted(columns: Sequence[str] | None, filter: pc.Expression | None) -> Wanted:
    return Wanted(tuple(columns) if columns is not None else None, filter)


def _tag(tag: str) -> str:
    """Raises StoreError for a tag that could be taken for something else, or for a path."""
    if not TAG.fullmatch(tag) or tag == "latest":
        raise StoreError(f"{tag!r} cannot be a tag", hint="write a letter, then letters, digits, `-`, `_` or `.`; `latest` moves by itself")
    return tag
