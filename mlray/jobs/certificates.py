"""Certificates: one thing at a time is done to keys and data, and what was done is written into the audit record."""

from __future__ import annotations

import fcntl
import os
import pwd
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from sqlalchemy import text

from mlray.access.audit import Deed, Entry, Fact
from mlray.access.audit_store import AuditStore
from mlray.clock import SystemClock
from mlray.database import connect
from mlray.home import Home
from mlray.vault.store import Vault, VaultAddress

LOCK = ".keeping.lock"
KEEPERS = 0x6B656570  # any constant does, as long as it stays the same


def vault_of(home: Home) -> Vault:
    return VaultAddress(home.store, str(home.keyring)).open()


@contextmanager
def alone(home: Home) -> Iterator[None]:
    """Nobody else rotates, erases, prunes or backs up this home meanwhile; on another machine neither, if they share a PostgreSQL.

    Reading and ingesting go on.
    """
    home.prepare()
    with open(home.root / LOCK, "w") as lock, _alone_in_database(home):
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _alone_in_database(home: Home) -> Iterator[None]:
    engine = connect(home.database)
    sqlite = engine.dialect.name == "sqlite"
    with nullcontext() if sqlite else engine.connect() as connection:
        if connection is not None:
            connection.execute(text("SELECT pg_advisory_lock(:keepers)"), {"keepers": KEEPERS})
        try:
            yield
        finally:
            if connection is not None:
                connection.execute(text("SELECT pg_advisory_unlock(:keepers)"), {"keepers": KEEPERS})


def certify(home: Home, did: str, to: str, facts: dict[str, Fact]) -> Entry:
    """Writes it down as done now, by the user of this process."""
    return AuditStore(home.database).append(Deed(caller(), did, to, facts), SystemClock().now())


def caller() -> str:
    """User and machine. Whoever can run mlray in this home could write anything here: it says who it was, and does not prove it."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"
