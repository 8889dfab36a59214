"""Backup: a whole store somewhere else, sealed as it is; and with a passphrase the keyring that opens it.

    objects/ab/abcd...      files by the SHA-256 of their bytes, so what is there already is not copied again
    backup.json             signed: which object each file is; written last, so a backup that was killed left the older one whole

Objects that the newest backup does not name are removed after that: a key destroyed in the store is destroyed here too.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from mlray.clock import SystemClock
from mlray.errors import KeyringError, MlrayError, SpecError, TamperError
from mlray.home import Home
from mlray.jobs.certificates import alone, certify, vault_of
from mlray.jobs.checking import note_backup
from mlray.vault.blobs import Blobs
from mlray.vault.keyring import WrappedKey
from mlray.vault.notary import Notary
from mlray.vault.passphrase import seal
from mlray.vault.sealing import open_bytes, seal_bytes
from mlray.vault.store import Vault
from mlray.vault.version import digest_bytes

FORMAT = 1
BACKUP = b"mlray backup 1\n"
INDEX, KEYRING, DATABASE, STORE = "backup.json", "keyring", "database", "store/"
DATABASE_KEY = "database of a backup"
WITHOUT_KEYRING = (
    "the keyring is not in it, and without a keyring nothing in it can be read: give a passphrase, or keep {file} elsewhere too"
)
POSTGRESQL = "the ledger and the audit record are in PostgreSQL and not in it: back them up with pg_dump"


@dataclass(frozen=True, slots=True)
class Stored:
    """One file of a backup. `digest` names its object."""

    bytes: int
    digest: str


Index = dict[str, Stored]  # `store/` and the path in the store, `keyring`, or `database`


@dataclass(frozen=True, slots=True)
class BackedUp:
    """`copied` of `files` were not there yet; `removed` objects belonged to older backups alone. `notes` say what is not in it."""

    destination: str
    files: int
    copied: int
    bytes: int
    removed: int
    keyring: bool
    database: bool
    notes: tuple[str, ...]


def backup(home: Home, destination: str, passphrase: str | None = None) -> BackedUp:
    """Brings the destination (a filesystem URI or a path) up to date. Killed and run again, it goes on where it was."""
    target = place(destination)
    if target.rstrip("/").startswith(home.store.rstrip("/")):
        raise SpecError(f"{destination} lies in the store that is to be backed up", hint="name another disk, machine or bucket")
    with alone(home):
        vault, there = vault_of(home), Blobs(target)
        _refuse_strange(there, destination)
        copy = _Copy(there, index_of(there, vault) if there.read(INDEX) else {})
        keyring = seal(home.keyring.read_bytes(), passphrase, os.urandom) if passphrase is not None else None
        _copy_all(home, vault, copy, keyring)
        there.write(INDEX, Notary(lambda: vault.keyring).sign(BACKUP, _line(copy.index)))
        removed = copy.clean()
        if keyring is not None:
            note_backup(home, destination)
        certify(home, "backup", destination, {"files": len(copy.index), "copied": copy.copied, "keyring": keyring is not None})
        size = sum(stored.bytes for stored in copy.index.values())
        known = DATABASE in copy.index
        return BackedUp(
            destination, len(copy.index), copy.copied, size, removed, keyring is not None, known, tuple(_notes(home, copy.index))
        )


def place(written: str) -> str:
    """A URI of what may be a path."""
    return written if "://" in written else Path(written).expanduser().absolute().as_uri()


def index_of(there: Blobs, vault: Vault) -> Index:
    """The signed index of a backup. Raises TamperError when it was changed, KeyringError when another home made it."""
    data = there.read(INDEX)
    if data is None:
        raise TamperError(f"{INDEX} is gone", hint="name the folder that `mlray data backup` wrote")
    return _index(Notary(lambda: vault.keyring).read(BACKUP, data, INDEX))


def unsigned(data: bytes) -> Index:
    """The index before there is a keyring to check it with: for finding that keyring, and nothing else."""
    return _index(data.partition(b"\n")[0])


def object_of(stored: Stored) -> str:
    return f"objects/{stored.digest[:2]}/{stored.digest}"


def fetch(there: Blobs, file: str, stored: Stored) -> bytes:
    """The bytes of a file of the backup. Raises TamperError naming it when they are not those that were put there."""
    data = there.read(object_of(stored))
    if data is None or digest_bytes(data) != stored.digest:
        raise TamperError(f"{file} {'is gone from' if data is None else 'was changed in'} the backup", hint="use another backup")
    return data


def open_database(vault: Vault, sealed: bytes) -> bytes:
    line, _, body = sealed.partition(b"\n")
    key = vault.keyring.unwrap(WrappedKey.from_json(json.loads(line)), DATABASE_KEY)
    return open_bytes(key, body, DATABASE_KEY)


def files_below(blobs: Blobs, folder: str) -> Iterator[tuple[str, int]]:
    """Every file of a store and its size, by path."""
    for name, size in sorted(blobs.sizes(folder).items()):
        if not name.startswith("."):
            yield f"{folder}/{name}".lstrip("/"), size
    for name in blobs.folders(folder):
        yield from files_below(blobs, f"{folder}/{name}".lstrip("/"))


class _Copy:
    """What a backup has put in its place so far."""

    def __init__(self, there: Blobs, before: Mapping[str, Stored]) -> None:
        self._there, self._before = there, before
        self._objects = {path.rpartition("/")[2]: size for path, size in files_below(there, "objects")}
        self.index, self.copied = Index(), 0

    def known(self, file: str, size: int) -> bool:
        """A part never changes under its name: one that was copied with this size need not be read again."""
        stored = self._before.get(file)
        if stored is None or "/parts/" not in file or stored.bytes != size or self._objects.get(stored.digest) != size:
            return False
        self.index[file] = stored
        return True

    def put(self, file: str, data: bytes) -> None:
        stored = Stored(len(data), digest_bytes(data))
        if self._objects.get(stored.digest) != stored.bytes:
            self._there.write(object_of(stored), data)
            self._objects[stored.digest] = stored.bytes
            self.copied += 1
        self.index[file] = stored

    def clean(self) -> int:
        named = {stored.digest for stored in self.index.values()}
        gone = [digest for digest in self._objects if digest not in named]
        for digest in gone:
            self._there.remove_file(object_of(Stored(0, digest)))
        return len(gone)


def _copy_all(home: Home, vault: Vault, copy: _Copy, keyring: bytes | None) -> None:
    """A file that went away since the listing (a draft's, or a receipt) belongs to no version."""
    here = Blobs(home.store)
    for path, size in files_below(here, ""):
        if not copy.known(f"{STORE}{path}", size):
            data = here.read(path)
            if data is not None:
                copy.put(f"{STORE}{path}", data)
    if keyring is not None:
        copy.put(KEYRING, keyring)
    database = sqlite_file(home)
    if database is not None and database.exists():
        copy.put(DATABASE, _sealed_database(vault, database, home.root))


def sqlite_file(home: Home) -> Path | None:
    """Where the home's database is, if it is a file."""
    url = make_url(home.database)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _sealed_database(vault: Vault, database: Path, folder: Path) -> bytes:
    """A consistent copy, made while others write, by SQLite's own backup."""
    draft = folder / f".backup-{os.urandom(8).hex()}.db"
    draft.touch(mode=0o600)
    try:
        with sqlite3.connect(database) as source, sqlite3.connect(draft) as target:
            source.backup(target)
        source.close()
        target.close()
        data = draft.read_bytes()
    finally:
        draft.unlink()
    key, wrapped = vault.keyring.new_key(DATABASE_KEY)
    return json.dumps(wrapped.to_json()).encode() + b"\n" + seal_bytes(key, data, DATABASE_KEY)


def _notes(home: Home, index: Index) -> Iterator[str]:
    if KEYRING not in index:
        yield WITHOUT_KEYRING.format(file=home.keyring)
    if sqlite_file(home) is None:
        yield POSTGRESQL


def _refuse_strange(there: Blobs, destination: str) -> None:
    """A backup removes what it does not name, and closes its folder to others: so the folder must be its own."""
    strange = sorted({*there.files(""), *there.folders("")} - {INDEX, "objects"})
    if strange:
        raise SpecError(f"{destination} holds other things, such as {strange[0]}", hint="name a folder of its own, which may be new")


def _line(index: Index) -> bytes:
    files = {file: [stored.bytes, stored.digest] for file, stored in index.items()}
    return json.dumps({"format": FORMAT, "at": SystemClock().now().isoformat(), "files": files}, sort_keys=True).encode()


def _index(line: bytes) -> Index:
    try:
        value = json.loads(line)
        if value["format"] != FORMAT:
            raise MlrayError(f"{INDEX} has format {value['format']}, but this mlray reads {FORMAT}", hint="upgrade mlray")
        return {file: Stored(int(size), str(digest)) for file, (size, digest) in value["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as broken:
        raise TamperError(f"{INDEX} is not what mlray wrote", hint="use another backup") from broken


def no_keyring() -> KeyringError:
    return KeyringError("the backup holds no keyring", hint="name the keyring file that was kept elsewhere")
