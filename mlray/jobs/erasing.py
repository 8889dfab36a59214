"""Erasing: persons and versions go by destroying keys, and each leaves a certificate in the audit record.

    erase     one subject of a dataset: the state of its subjects is punctured, and what it cannot reach is named
    prune     versions past their time, or that nothing uses

The key goes first and the files after, so a kill in between leaves bytes that nobody can read; running it again removes them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from mlray.access.audit import Deed, Entry, Fact
from mlray.access.audit_store import AuditStore
from mlray.clock import SystemClock
from mlray.errors import MlrayError, StoreError
from mlray.home import Home
from mlray.ingest.protect import pseudonyms
from mlray.jobs.certificates import alone, caller, vault_of
from mlray.jobs.retention import Fate, Standing, judge
from mlray.vault.blobs import Blobs
from mlray.vault.broom import Broom
from mlray.vault.holdings import Holdings
from mlray.vault.remote import RECENT
from mlray.vault.store import Vault
from mlray.vault.version import DatasetVersion, Manifest, short

REACH = "backups made before hold the older state: make a new one over them, or destroy them"


@dataclass(frozen=True, slots=True)
class Unreached:
    """A version that still holds the subject. `rows` is None where nobody could count."""

    version: str
    rows: int | None
    why: str


@dataclass(frozen=True, slots=True)
class Erased:
    """`subject` is its MAC, as in the certificate. `models` were trained on versions of the dataset; what they learned stays."""

    dataset: str
    subject: str
    again: bool
    certificate: str
    unreached: tuple[Unreached, ...]
    destroyed: tuple[str, ...]
    models: tuple[str, ...]
    note: str = REACH

    @property
    def whole(self) -> bool:
        """Whether no version in this vault can tell about the subject any more."""
        return not self.unreached


def erase(home: Home, dataset: str, subject: str, also_destroy_versions: bool = False) -> Erased:
    """Destroys the subject's key in a dataset; every version sealed by subject forgets them at once.

    Doing it again changes nothing. Versions that hold the subject in another way are named, or destroyed when asked.
    Raises StoreError when there is no such dataset.
    """
    with alone(home):
        vault, holdings = vault_of(home), Holdings(vault_of(home))
        if dataset not in holdings.names():
            there = ", ".join(holdings.names())
            raise StoreError(f"no dataset named {dataset!r} in this vault", hint=f"there are {there}" if there else "there are none yet")
        state = vault.subject_keys(dataset)
        name, again = state.pseudonym(subject), state.key(subject) is None
        left = tuple(_unreached(vault, dataset, subject))
        certificate = _certified(home, name, dataset) if again else None
        if certificate is None:
            certificate = AuditStore(home.database).after(lambda: _puncture(vault, dataset, subject, left), _now())
        goes = [
            v
            for v in vault.shelf.named("dataset", dataset)
            if also_destroy_versions and short(dataset, v.digest) in {u.version for u in left}
        ]
        for version in goes:
            destroy(home, vault, Standing(version), f"it holds the erased subject {name}")
        gone = tuple(short(dataset, version.digest) for version in goes)
        kept = tuple(found for found in left if found.version not in gone)
        return Erased(dataset, name, again, str(certificate.head), kept, gone, _models(vault, dataset))


def fates(home: Home, now: datetime, unused: bool = False) -> tuple[Fate, ...]:
    """What `prune` would do now."""
    return judge(_standings(vault_of(home)), now, unused)


def prune(home: Home, now: datetime, unused: bool = False, only: Collection[str] | None = None) -> tuple[Fate, ...]:
    """Destroys versions past their time, and with `unused` those that nothing uses. Returns the fate of every version.

    `only` names those that somebody has agreed to: what became unused since then stays.
    """
    with alone(home):
        vault = vault_of(home)
        _finish(home, vault)
        found = tuple(_agreed(fate, only) for fate in fates(home, now, unused))
        for fate in found:
            if fate.destroyed:
                destroy(home, vault, fate.standing, fate.why, fate.breaks)
        return found


def _agreed(fate: Fate, only: Collection[str] | None) -> Fate:
    return fate if only is None or not fate.destroyed or str(fate.standing) in only else Fate(fate.standing, False, "nobody was asked")


def destroy(home: Home, vault: Vault, standing: Standing, why: str, breaks: tuple[str, ...] = ()) -> None:
    """Destroys a version's keys, writes that down, and removes the files that no other version names."""
    manifest = standing.manifest
    facts: dict[str, Fact] = {
        "why": why,
        "breaks": list(breaks),
        "rows": sum(part.rows for part in manifest.parts),
        "shared": _shared(vault, manifest),
    }

    def shred() -> Deed:
        vault.shelf.shred(manifest.kind, manifest.name, manifest.digest)
        RECENT.clear()
        return Deed(caller(), "destroy", _full(manifest), facts)

    AuditStore(home.database).after(shred, _now())
    _sweep(vault, manifest)


def _puncture(vault: Vault, dataset: str, subject: str, left: tuple[Unreached, ...]) -> Deed:
    holdings = Holdings(vault)
    before = holdings.state_digest(dataset)
    state = vault.subjects.change(dataset, lambda state: state.erase(subject))
    after = holdings.state_digest(dataset)
    unreached: list[Fact] = [found.version for found in left]
    facts: dict[str, Fact] = {"subject": state.pseudonym(subject), "before": before, "after": after, "unreached": unreached}
    return Deed(caller(), "erase", dataset, facts)


def _certified(home: Home, name: str, dataset: str) -> Entry | None:
    """The certificate of an erasure that was done before; None when it was killed before it could write one."""
    entries = AuditStore(home.database).entries()
    deeds = ((entry, entry.deed) for entry in entries)
    return next((e for e, deed in deeds if (deed.did, deed.to, deed.facts.get("subject")) == ("erase", dataset, name)), None)


def _unreached(vault: Vault, dataset: str, subject: str) -> Iterator[Unreached]:
    """Versions whose columns were not sealed by subject, and that hold this one or may do so."""
    versions = vault.shelf.named("dataset", dataset)
    columns = {column for version in versions if (column := _by_subject(version))}
    for version in versions:
        if _by_subject(version) is None:
            found = _held(vault, version, columns, subject)
            if found is None or found.rows != 0:
                yield found or Unreached(short(dataset, version.digest), None, "it does not say whose rows are whose")


def _by_subject(version: Manifest) -> str | None:
    """The column that said whose rows are whose, where the version's personal columns are sealed by it."""
    subject = version.about.get("subject")
    return str(subject["column"]) if isinstance(subject, dict) and subject.get("sealed") else None


def _held(vault: Vault, version: Manifest, columns: set[str], subject: str) -> Unreached | None:
    """How many rows hold the subject in one of the columns; None when the version has none of them."""
    name, there = short(version.name, version.digest), [column for column, _ in version.schema if column in columns]
    try:
        rows = sum(_rows(vault, version, column, subject) for column in there)
    except MlrayError as unreadable:
        return Unreached(name, None, f"it cannot be read: {unreadable.message}")
    return Unreached(name, rows, f"{', '.join(there)} is not sealed by subject") if there else None


def _rows(vault: Vault, version: Manifest, column: str, subject: str) -> int:
    reader = vault.reader(DatasetVersion(version.name, version.digest, version))
    wanted = pa.array([subject, *_pseudonym(vault, version, column, subject)], pa.string())
    count = 0
    for part in version.parts:
        table = reader.table(part)
        if column in table.column_names:
            count += pc.sum(pc.is_in(table[column].cast(pa.string()), wanted)).as_py() or 0
    return count


def _pseudonym(vault: Vault, version: Manifest, column: str, subject: str) -> list[str]:
    """What the column calls the subject, where it holds pseudonyms."""
    protection = version.about.get("protection")
    how = protection.get(column) if isinstance(protection, dict) else None
    if not isinstance(how, dict) or how.get("how") != "pseudonymise":
        return []
    key = vault.keyring.pseudonym_key(str(how.get("scope") or f"{version.name}/{column}"))
    return [str(value) for value in pseudonyms(pa.chunked_array([[subject]], pa.string()), key).to_pylist()]


def _standings(vault: Vault) -> Iterator[Standing]:
    models = vault.shelf.every("model")
    for manifest in vault.shelf.every("dataset"):
        tags = sorted(tag for tag, digest in vault.tags(manifest.name).items() if digest == manifest.digest)
        yield Standing(manifest, tuple(tags), _made_from(models, manifest))


def _made_from(models: tuple[Manifest, ...], manifest: Manifest) -> tuple[str, ...]:
    return tuple(short(m.name, m.digest) for m in models if (f"dataset:{manifest.name}", manifest.digest) in m.lineage)


def _models(vault: Vault, dataset: str) -> tuple[str, ...]:
    return tuple(short(m.name, m.digest) for m in vault.shelf.every("model") if any(what == f"dataset:{dataset}" for what, _ in m.lineage))


def _shared(vault: Vault, manifest: Manifest) -> int:
    """How many of its files other versions name: those stay, under their keys."""
    others = {
        part.file for other in vault.shelf.named(manifest.kind, manifest.name) if other.digest != manifest.digest for part in other.parts
    }
    return sum(part.file in others for part in manifest.parts)


def _finish(home: Home, vault: Vault) -> None:
    """Removes what a prune that was killed left behind: versions whose destruction is in the record."""
    meant = {entry.deed.to for entry in AuditStore(home.database).entries() if entry.deed.did == "destroy"}
    for kind, name, digest in Holdings(vault).destroyed():
        manifest = vault.shelf.manifest(kind, name, digest)
        if _full(manifest) in meant:
            _sweep(vault, manifest)


def _sweep(vault: Vault, manifest: Manifest) -> None:
    Broom(Blobs(vault.address.store), vault.shelf).prune(manifest)


def _full(manifest: Manifest) -> str:
    return f"{manifest.name}@{manifest.digest}"


def _now() -> datetime:
    return SystemClock().now()
