"""Keeping: master keys of a home are moved into a service, rotated, retired and handed out. No data is ever rewritten.

    use, rotate     a new master in a scope; every key that an older one wraps is wrapped anew
    retire          an old master is forgotten, once it wraps nothing
    listing         which masters there are, and how much each wraps
    export          a keyring for somebody who reads some scopes

Each can be killed at any moment and run again: what is wrapped anew stays so, and the rest opens by the older master.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlray.errors import KeyringError, SpecError
from mlray.home import Home
from mlray.jobs.certificates import alone, certify, vault_of
from mlray.vault import aws, kms, transit
from mlray.vault.aws import AwsMaster
from mlray.vault.holdings import Holding, Holdings
from mlray.vault.keyring import SCOPES, KeyId, Master, Scope
from mlray.vault.kms import File
from mlray.vault.store import Vault
from mlray.vault.transit import TransitMaster

Kind = Literal["local", "aws-kms", "transit"]
SECRET, PROBE = b"mlray asks whether this key works", "mlray probe"


@dataclass(frozen=True, slots=True)
class Moved:
    """`made` is False when an earlier rotation was finished instead of a new one begun: run it again for a new master."""

    scope: Scope
    before: KeyId
    master: KeyId
    rewrapped: int
    made: bool


@dataclass(frozen=True, slots=True)
class MasterRow:
    """`wraps` counts versions, secrets and states of subjects; the home's own signing and pseudonym keys besides."""

    id: KeyId
    scope: Scope
    kind: str
    current: bool
    wraps: int


def use(home: Home, kind: Kind, key_id: str = "", scope: Scope = "data", endpoint: str = "", mount: str = "transit") -> Moved:
    """Makes a key of a service the master of a scope (or a local one again), and wraps everything of that scope with it.

    `key_id` is a key id, ARN or alias of KMS, or the name of a transit key; `endpoint` the address of Vault or OpenBao, or of a
    KMS that is not AWS's own. Raises KeyringError when the service does not do what a master must.
    """
    vault = vault_of(home)
    entry = _entry(kind, key_id, scope, endpoint, mount)
    master = kms.open_master(home.keyring, entry)
    probe(master)
    with alone(home):
        fresh = Holdings(vault).empty
        before = (vault.make_keyring() if fresh else vault.keyring).current(scope).id
        made = not _same(kms.read_file(home.keyring), before, entry)
        if made:
            kms.add_master(home.keyring, entry)
        moved = _moved(home, scope, before, made)
        if fresh and made:
            kms.drop_master(home.keyring, before)  # it never wrapped anything
        return moved


def rotate(home: Home, scope: Scope = "data") -> Moved:
    """A new master of the same kind, and every key of the scope wrapped with it. What an earlier rotation left is finished first."""
    with alone(home):
        vault = vault_of(home)
        before = vault.keyring.current(scope).id
        if _left(home, vault, scope, before):
            return _moved(home, scope, before, made=False)
        value = kms.read_file(home.keyring)
        kms.add_master(home.keyring, _next(home, next(entry for entry in value["masters"] if entry["id"] == before)))
        return _moved(home, scope, before, made=True)


def retire(home: Home, master: str) -> MasterRow:
    """Forgets a master. Raises KeyringError while it is the current one of its scope, or still wraps anything."""
    with alone(home):
        vault = vault_of(home)
        found = next((row for row in listing(home) if row.id == master), None)
        if found is None:
            raise KeyringError(
                f"no master key {master} in {home.keyring}", hint=f"there are {', '.join(m.id for m in vault.keyring.masters)}"
            )
        if found.current:
            raise KeyringError(f"master key {master} is the one that wraps in scope {found.scope}", hint="rotate first")
        wraps = [str(holding) for holding in Holdings(vault).all() if holding.under(found.id)] + _own(home, found.id)
        if wraps:
            hint = f"`mlray keys rotate --scope {found.scope}` moves them"
            raise KeyringError(f"master key {master} still wraps {', '.join(wraps[:5])}{_more(len(wraps) - 5)}", hint=hint)
        kms.drop_master(home.keyring, found.id)
        certify(home, "retire", master, {"scope": found.scope, "kind": found.kind})
        return found


def listing(home: Home) -> tuple[MasterRow, ...]:
    """Every master, in the order of the file."""
    ring, held = vault_of(home).keyring, Holdings(vault_of(home)).all()
    kinds = {entry["id"]: entry["kind"] for entry in kms.read_file(home.keyring)["masters"]}
    return tuple(
        MasterRow(m.id, m.scope, kinds[m.id], ring.current(m.scope).id == m.id, sum(holding.under(m.id) for holding in held))
        for m in ring.masters
    )


def export(home: Home, target: Path, scopes: Sequence[Scope] = ("data",)) -> tuple[KeyId, ...]:
    """Writes a keyring that reads these scopes and signs nothing. It holds the secrets of local masters: hand it over like a key."""
    wrong = [scope for scope in scopes if scope not in SCOPES]
    if wrong or not scopes:
        raise SpecError(f"no scope {', '.join(wrong) or 'named'}", hint=f"scopes are {', '.join(SCOPES)}")
    value = kms.for_reading(kms.read_file(home.keyring), scopes)
    kms.write_new(target, value)
    certify(home, "export", ", ".join(scopes), {"masters": [entry["id"] for entry in value["masters"]]})
    return tuple(entry["id"] for entry in value["masters"])


def probe(master: Master) -> None:
    """Raises KeyringError unless it wraps, unwraps, and refuses what was wrapped for something else."""
    master.check()
    wrapped = master.wrap(SECRET, PROBE)
    if master.unwrap(wrapped, PROBE) != SECRET:
        raise KeyringError(f"master key {master.id} gives back other bytes than it was given", hint="use another key")
    try:
        master.unwrap(wrapped, f"{PROBE} for something else")
    except KeyringError:
        return
    raise KeyringError(f"master key {master.id} opens a key for what it was not made for", hint="use a service that binds associated data")


def _moved(home: Home, scope: Scope, before: KeyId, made: bool) -> Moved:
    """Wraps anew what is not under the current master: secrets and versions one by one, then the home's own keys."""
    vault = vault_of(home)
    current = vault.keyring.current(scope).id
    left = _left(home, vault, scope, current)
    for holding in left:
        Holdings(vault).rewrap(holding)
    kms.rewrap_own(home.keyring)
    certify(home, "rotate", current, {"scope": scope, "before": before, "rewrapped": len(left), "finished an earlier one": not made})
    return Moved(scope, before, current, len(left), made)


def _left(home: Home, vault: Vault, scope: Scope, current: KeyId) -> list[Holding]:
    held = Holdings(vault).all()
    return [holding for holding in held if any(key.scope == scope and key.key != current for key in holding.keys)]


def _entry(kind: Kind, key_id: str, scope: Scope, endpoint: str, mount: str) -> File:
    if scope not in SCOPES:
        raise SpecError(f"no scope {scope!r}", hint=f"scopes are {', '.join(SCOPES)}")
    match kind:
        case "local":
            return kms.local_entry(scope)
        case "aws-kms":
            return AwsMaster(_given(key_id, "--key-id"), scope, 1, endpoint).resolved().entry(1)
        case "transit":
            address = _given(endpoint or transit.address_here(), "--endpoint")
            seen = TransitMaster(address, mount, _given(key_id, "--key-id"), scope, 1)
            return seen.entry(seen.latest)
    raise SpecError(f"no kind of master key {kind!r}", hint=f"there are local, {aws.KIND} and {transit.KIND}")


def _next(home: Home, entry: File) -> File:
    """The entry of the next master of the same kind; a service makes new material for the same key."""
    match kms.open_master(home.keyring, entry):
        case AwsMaster() as master:
            master.rotate()
            return master.entry(int(entry["generation"]) + 1)
        case TransitMaster() as master:
            master.rotate()
            return master.entry(master.latest)
    return kms.local_entry(entry["scope"])


def _same(value: File, current: KeyId, entry: File) -> bool:
    """Whether the current master is this very key of this service already, in whatever generation."""
    there = next(known for known in value["masters"] if known["id"] == current)
    names = ("kind", "scope", "key", "address", "mount", "endpoint")
    return entry["kind"] != "local" and [there.get(name) for name in names] == [entry.get(name) for name in names]


def _own(home: Home, master: KeyId) -> list[str]:
    return [f"the {name} key of this home" for name, key in kms.own_keys(kms.read_file(home.keyring)).items() if key.key == master]


def _given(value: str, option: str) -> str:
    if not value:
        raise SpecError(f"{option} is missing", hint=f"write {option} and which key it is")
    return value


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""
