"""Witness: what this home has seen of a store, so that an older state put back whole is noticed.

Everything in a store may be replaced by what it held a month ago, signatures included. What cannot be replaced from there
is a file beside the keyring: the highest counter of every pointer, and the manifest of every version. A home that never
saw the newer state cannot miss it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mlray.errors import TamperError
from mlray.home import private_folder, write_private
from mlray.vault.version import digest_bytes

HINT = "put the newer state back; if you restored a backup on purpose, remove {file}"


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest sight of one name: the counter of a pointer or the moment a manifest was made, and what was there."""

    order: str  # compares as text: a padded counter, or an ISO 8601 moment in UTC
    what: str

    def older_than(self, other: Seen) -> bool:
        return self.order < other.order


class Witness:
    """Remembers one store in a file for each dataset or model. A home that cannot be written remembers nothing new."""

    def __init__(self, keyring: Path, store: str) -> None:
        self._folder = keyring.parent / "witness" / digest_bytes(store.encode())[:16]
        self._known: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {}

    def last(self, group: str, name: str) -> Seen | None:
        """What was last seen under a name, such as ("dataset-flights", "latest")."""
        found = self._read(group).get(name)
        return Seen(*found) if found else None

    def see(self, group: str, name: str, seen: Seen, told: str, before: Seen | None) -> None:
        """Raises TamperError beginning with `told` when this is older than `before`; remembers it when it is the newest.

        `before` is what `last` said before the store was asked. What is newer than that may have been written meanwhile, which is
        nobody's fault: whoever wrote it remembers it, and a sight compared with their memory would look like a rollback.
        """
        if before and before != seen and not before.older_than(seen):
            hint = HINT.format(file=self._file(group))
            raise TamperError(f"{told} was rolled back: this home has seen a newer one", hint=hint)
        self.remember(group, name, seen)

    def remember(self, group: str, name: str, seen: Seen) -> None:
        """What was seen, or written by ourselves, unless something newer is remembered already."""
        last = self.last(group, name)
        if last is None or last.older_than(seen):
            with contextlib.suppress(OSError), self._held():
                self._write(group, name, seen)

    def _write(self, group: str, name: str, seen: Seen) -> None:
        """Read again under the lock: another process may have seen more meanwhile."""
        known = self._read(group)
        if name not in known or Seen(*known[name]).older_than(seen):
            write_private(self._file(group), json.dumps(known | {name: [seen.order, seen.what]}, indent=0))

    def _read(self, group: str) -> dict[str, Any]:
        """Parsed once for each time it was replaced: a listing of versions asks for every one of them."""
        file = self._file(group)
        try:
            info = file.stat()
            state = (info.st_ino, info.st_mtime_ns)
            if group not in self._known or self._known[group][0] != state:
                self._known[group] = (state, dict(json.loads(file.read_text())))
            return self._known[group][1]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError) as broken:
            raise TamperError(f"{file} is not what mlray wrote there", hint="restore it from your backup, or remove it") from broken

    def _file(self, group: str) -> Path:
        return self._folder / f"{group}.json"

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        private_folder(self._folder)
        handle = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def counted(counter: int, digest: str) -> Seen:
    return Seen(f"{counter:012d}", digest)


def made(created: datetime, line: bytes) -> Seen:
    return Seen(created.isoformat(timespec="microseconds"), digest_bytes(line))
