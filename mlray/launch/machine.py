"""Machines: the process trees that play the nodes of a local cluster. Started, checked, found and ended here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlray
from mlray.errors import ClusterError
from mlray.launch import keeper as keeper_script
from mlray.launch import processes
from mlray.launch.environment import node_environment, spill_config
from mlray.launch.guard import unguarded
from mlray.launch.record import Node, Record
from mlray.launch.store import ClusterStore

ATTEMPTS, LATE = 3, "timed out during startup"
NEW_S = 60.0


class Machine:
    """One node of one cluster. Knows nothing by itself: everything is in the cluster's record."""

    def __init__(self, store: ClusterStore, id: str) -> None:
        self.store, self.id = store, id

    @property
    def node(self) -> Node:
        if node := self.store.known().node(self.id):
            return node
        raise ClusterError(f"cluster {self.store.name} has no node {self.id}")

    def start(self, command: str, given: Mapping[str, Any]) -> None:
        """Runs a start command until it succeeds; its processes stay. Raises ClusterError with its last words.

        Ray gives a raylet 30 s to join, which a busy machine may miss: of 25 starts under load, 3 did. Nothing else is tried again.
        """
        for left in reversed(range(ATTEMPTS)):
            if not (why := self._run(command, given) or self._unguarded()):
                return
            processes.end(self.pids, grace_s=0)
            self._change(failure=why)
            if not left or LATE not in why:
                raise ClusterError(f"node {self.id} did not start: {why}")
            self.place("ray_current_cluster").unlink(missing_ok=True)  # or Ray takes the dead one for running

    def pids(self) -> tuple[int, ...]:
        return pids(self.store.known(), self.node)

    def place(self, path: str) -> Path:
        """A file in the node's home, which is its folder."""
        return Path(self.node.folder) / path.removeprefix("~/")

    def _run(self, command: str, given: Mapping[str, Any]) -> str:
        """Waits for the command, not for what it leaves behind under its keeper. What went wrong, "" if nothing did."""
        # Ray passes resources and labels as dicts, to be read as JSON.
        extra = {key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}
        reading, writing = os.pipe()
        log = os.open(self.place("start.log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(log) as out, os.fdopen(reading) as report:
            words = [sys.executable, "-I", "-S", keeper_script.__file__, str(writing), command]
            keeper = subprocess.Popen(
                words,
                env=self._environment() | extra,
                cwd=self.node.folder,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                start_new_session=True,
                pass_fds=[writing],
            )
            os.close(writing)
            self._change(keeper=processes.keeper(keeper.pid))
            _let_go(keeper)
            code = report.read()
        return "" if code == "0" else f"exit code {code or 'none'}\n  {self._said()}"

    def _environment(self) -> dict[str, str]:
        """mlray itself goes on PYTHONPATH unless it is installed where Python looks anyway."""
        code = str(Path(mlray.__file__).parents[1])
        where = () if code in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")) else (code,)
        home, programs = self.store.home.environment(), str(Path(sys.executable).parent)
        return node_environment(self.store.known(), self.node, self.store.folder, home, os.environ, where, programs)

    def _unguarded(self) -> str:
        record = self.store.known()
        commands = [processes.command(pid) for pid in self.pids()]
        return unguarded(commands, self.node.head, spill_config(record, self.store.folder), record.memory)

    def _said(self, lines: int = 6) -> str:
        return "\n  ".join(self.place("start.log").read_text(errors="replace").splitlines()[-lines:])

    def _change(self, **fields: Any) -> None:
        self.store.change(lambda record: record.changed(self.id, **fields))


def _let_go(keeper: subprocess.Popen[bytes]) -> None:
    """It waits for this word, so that no process runs that no record names, should we end just now."""
    assert keeper.stdin is not None
    with keeper.stdin as word:
        word.write(b"go")


def pids(record: Record, node: Node) -> tuple[int, ...]:
    """The processes of a node, its keeper left out."""
    others = [other.keeper for other in record.nodes if other.keeper and other.id != node.id]
    return processes.tree(node.keeper, others) if node.keeper else ()


def remains(record: Record, node: Node) -> tuple[int, ...]:
    """What must still be ended: the processes of a node, or its keeper once there are none; it may be about to start one."""
    return pids(record, node) or ((node.keeper.pid,) if node.keeper and processes.lives(node.keeper) else ())


def live_nodes(record: Record) -> tuple[Node, ...]:
    """Nodes that run, and those so new that nothing has been started on them yet. One whose processes are all gone has ended."""
    return tuple(node for node in record.live() if pids(record, node) or (not node.keeper and time.time() - node.made < NEW_S))


def end_nodes(store: ClusterStore, ids: Iterable[str], grace_s: float = processes.GRACE_S) -> None:
    """Ends every process of these nodes; without grace at once, as when a machine loses power. Raises ClusterError if some stay."""
    wanted = set(ids)

    def left() -> tuple[int, ...]:
        record = store.known()
        return tuple(pid for node in record.nodes if node.id in wanted for pid in remains(record, node))

    if not processes.end(left, grace_s):
        raise ClusterError(f"{', '.join(sorted(wanted))} would not end", hint=f"look at the processes {left()}")
    now = time.time()
    store.change(lambda record: replace(record, nodes=tuple(replace(n, ended=now) if n.id in wanted else n for n in record.nodes)))
