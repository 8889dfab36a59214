"""Restore: a backup into an empty home. Every file is checked before it is written, and every version and key after."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from mlray.access.audit_store import AuditStore
from mlray.errors import KeyringError, SpecError, StoreError
from mlray.home import Home, write_private
from mlray.jobs.backup import (
    DATABASE,
    INDEX,
    KEYRING,
    STORE,
    Index,
    fetch,
    files_below,
    index_of,
    no_keyring,
    open_database,
    place,
    sqlite_file,
    unsigned,
)
from mlray.jobs.certificates import alone, certify, vault_of
from mlray.jobs.checking import note_backup
from mlray.vault.blobs import Blobs
from mlray.vault.holdings import Holdings
from mlray.vault.kms import open_keyring
from mlray.vault.passphrase import unseal
from mlray.vault.store import Vault
from mlray.vault.version import DatasetVersion, ModelVersion, digest_bytes

MARK = ".restoring.json"
LAST = ("manifest.json", "latest", "tags")  # what makes a version exist, and what points to it


@dataclass(frozen=True, slots=True)
class Restored:
    """`versions` were read again, every byte; `entries` is the length of the audit record that came with it."""

    source: str
    files: int
    versions: int
    entries: int


def restore(source: str, home: Home, passphrase: str | None = None, keyring: Path | None = None) -> Restored:
    """Raises StoreError for a home that is not empty, KeyringError without the keyring, TamperError naming a changed file.

    Killed and run again, it goes on where it was.
    """
    there = Blobs(place(source))
    data = there.read(INDEX)
    if data is None:
        raise SpecError(f"{source} holds no backup: there is no {INDEX} in it", hint="name what `mlray data backup` wrote")
    with alone(home):
        _refuse_used(home, source)
        write_private(home.root / MARK, json.dumps({"source": source}))
        _put_keyring(home, there, unsigned(data), passphrase, keyring)
        vault = vault_of(home)
        index = index_of(there, vault)
        _put_files(home, there, index)
        _put_database(home, vault, there, index)
        versions: list[DatasetVersion | ModelVersion] = [*vault.datasets(), *vault.models()]
        for found in versions:
            vault.verify(found)
        for holding in Holdings(vault).all():
            Holdings(vault).open(holding)
        head = AuditStore(home.database).verify()
        if KEYRING in index:
            note_backup(home, source)
        certify(home, "restore", source, {"files": len(index)})
        (home.root / MARK).unlink()
        return Restored(source, len(index), len(versions), head.number)


def _refuse_used(home: Home, source: str) -> None:
    mark = home.root / MARK
    if mark.exists() and json.loads(mark.read_text())["source"] == source:
        return
    database = sqlite_file(home)
    used = [home.keyring] if home.keyring.exists() else [database] if database and database.exists() else []
    if used or any(files_below(Blobs(home.store), "")):
        what = used[0] if used else home.store
        raise StoreError(f"{what} is there already: a backup is restored into an empty home", hint="set MLRAY_HOME to a new folder")


def _put_keyring(home: Home, there: Blobs, index: Index, passphrase: str | None, file: Path | None) -> None:
    """From the backup or from the file; the same may lie there already, from a restore that was killed."""
    if home.keyring.exists():
        return
    if file is None and KEYRING not in index:
        raise no_keyring()
    if file is None and passphrase is None:
        raise KeyringError("the keyring in the backup is sealed under a passphrase", hint="give the passphrase")
    text = file.read_bytes() if file else unseal(fetch(there, KEYRING, index[KEYRING]), passphrase or "")
    draft = home.keyring.with_name(f".{home.keyring.name}.{os.urandom(8).hex()}")
    write_private(draft, text.decode())
    try:
        open_keyring(draft, create=False)
        os.link(draft, home.keyring)
    finally:
        draft.unlink()


def _put_files(home: Home, there: Blobs, index: Index) -> None:
    """Manifests and pointers last: a version is there only when all of it is."""
    here = Blobs(home.store)
    for file in sorted((file for file in index if file.startswith(STORE)), key=_rank):
        path = file.removeprefix(STORE)
        before = here.read(path)
        if before is None or digest_bytes(before) != index[file].digest:
            here.write(path, fetch(there, file, index[file]))


def _put_database(home: Home, vault: Vault, there: Blobs, index: Index) -> None:
    """Into SQLite; a home in PostgreSQL is restored with its own tools."""
    target = sqlite_file(home)
    if DATABASE not in index or target is None or target.exists():
        return
    draft = target.with_name(f".{target.name}.{os.urandom(8).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(open_database(vault, fetch(there, DATABASE, index[DATABASE])))
        os.fsync(file.fileno())
    os.replace(draft, target)


def _rank(file: str) -> tuple[int, str]:
    parts = file.split("/")
    return max((LAST.index(part) + 1 for part in parts if part in LAST), default=0), file
