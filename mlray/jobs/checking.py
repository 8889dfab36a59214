"""Checking: is every key there that will be needed? Told as findings before it hurts."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from mlray.access.audit_store import AuditStore
from mlray.errors import KeyringError, MlrayError
from mlray.home import Home, write_private
from mlray.jobs.certificates import vault_of
from mlray.vault.holdings import Holdings
from mlray.vault.store import Vault
from mlray.vault.version import digest_bytes, short

BACKED_UP = "backed-up.json"


@dataclass(frozen=True, slots=True)
class Finding:
    """`hurts`: something cannot be read now, or will not be when the next thing goes wrong."""

    what: str
    said: str
    hurts: bool = False


def check(home: Home) -> tuple[Finding, ...]:
    """Every key opened once, every master asked. A remote master is asked once for each version it wraps."""
    try:
        vault = vault_of(home)
        _ = vault.keyring
    except KeyringError as unusable:
        if not home.keyring.exists() and Holdings(vault_of(home)).empty:
            return (Finding("keyring", "there is none yet: the first job makes it"),)
        return (Finding("keyring", str(unusable.message), hurts=True),)
    return (*_modes(home), *_masters(vault), *_holdings(vault), *_destroyed(home, vault), *_record(home), *_backed_up(home, vault))


def note_backup(home: Home, destination: str) -> None:
    """Remembers that the keyring as it is now has a backup."""
    write_private(home.root / BACKED_UP, json.dumps({"keyring": digest_bytes(home.keyring.read_bytes()), "to": destination}))


def _modes(home: Home) -> Iterator[Finding]:
    for path in (home.root, *sorted(home.root.glob("*.json"))):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            yield Finding(
                str(path), f"others can enter or read it (mode {mode:04o}): chmod {'700' if path.is_dir() else '600'} {path}", hurts=True
            )


def _masters(vault: Vault) -> Iterator[Finding]:
    for master in vault.keyring.masters:
        current = "wraps new keys" if vault.keyring.current(master.scope).id == master.id else "opens older keys"
        yield _asked(f"master {master.id}", master.check, f"{current} of scope {master.scope}")


def _holdings(vault: Vault) -> Iterator[Finding]:
    held = Holdings(vault)
    for holding in held.look():
        away = sorted({key.scope for key in holding.keys if not vault.keyring.holds(key)})
        if holding.wrong:
            yield Finding(str(holding), holding.wrong, hurts=True)
        elif away:
            yield Finding(str(holding), f"no master key of scope {', '.join(away)} for it in this keyring", hurts=True)
        else:
            yield _asked(str(holding), partial(held.open, holding), "opens")


def _destroyed(home: Home, vault: Vault) -> Iterator[Finding]:
    """A version without keys was destroyed on purpose, if the audit record says so; else its keys were lost."""
    lost = Holdings(vault).destroyed()
    meant = {entry.deed.to for entry in AuditStore(home.database).entries() if entry.deed.did == "destroy"} if lost else set()
    for _, name, digest in lost:
        known = f"{name}@{digest}" in meant
        yield Finding(
            short(name, digest),
            "its keys were destroyed on purpose" if known else "its key.json is gone: restore it from a backup",
            not known,
        )


def _record(home: Home) -> Iterator[Finding]:
    """Its head is told: who keeps one elsewhere can prove later that nothing before it was rewritten."""
    try:
        head = AuditStore(home.database).verify()
    except MlrayError as broken:
        yield Finding("audit record", broken.message, hurts=True)
    else:
        yield Finding("audit record", f"whole; its head is {head}")


def _backed_up(home: Home, vault: Vault) -> Iterator[Finding]:
    file = home.root / BACKED_UP
    known = json.loads(file.read_text()) if file.exists() else {}
    now = digest_bytes(home.keyring.read_bytes())
    if known.get("keyring") == now:
        yield Finding("backup", f"the keyring is in {known['to']}")
    elif not Holdings(vault).empty:
        why = "was changed after its last backup" if known else "was never backed up"
        yield Finding("backup", f"the keyring {why}: `mlray data backup` with a passphrase keeps it", hurts=True)


def _asked(what: str, ask: Callable[[], None], fine: str) -> Finding:
    try:
        ask()
    except MlrayError as wrong:
        return Finding(what, wrong.message, hurts=True)
    return Finding(what, fine)
