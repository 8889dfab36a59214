"""Launcher: Ray's own `ray up`, run as people run it: it makes the head through the provider, and the head makes the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

import mlray
from mlray.home import private_folder
from mlray.launch.store import ClusterStore


class Launcher:
    """Runs while it is entered; leaving it ends it. A session of its own: Ctrl-C reaches us alone, and we clean up."""

    def __init__(self, store: ClusterStore, file: Path) -> None:
        self._store, self._file = store, file
        self._log = private_folder(store.home.prepare().cluster(store.name).parent) / f".{store.name}.log"

    def __enter__(self) -> Launcher:
        env = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")} | self._store.home.environment()
        env["PYTHONPATH"] = ":".join(filter(None, [str(Path(mlray.__file__).parents[1]), env.get("PYTHONPATH", "")]))
        command = [sys.executable, "-m", "ray.scripts.scripts", "up", "--yes", "--no-config-cache", str(self._file)]
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        if error is None:
            self._log.unlink()

    @property
    def done(self) -> bool:
        """The head is up; nodes may still be missing."""
        return self._process.poll() == 0

    @property
    def failed(self) -> bool:
        return self._process.poll() not in (None, 0)

    def said(self, lines: int = 6) -> str:
        """Why a node did not start, from the record, or what the launcher said last."""
        record = self._store.read()
        told = [f"{node.id}: {node.failure}" for node in record.nodes if node.failure] if record else []
        return "\n  ".join(told or self._log.read_text(errors="replace").splitlines()[-lines:])
