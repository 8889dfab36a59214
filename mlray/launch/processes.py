"""Processes of this machine, read from /proc: who descends from whom, and how a whole tree is ended."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mlray.launch.record import Keeper

GRACE_S = 2.0
KILL_S = 10.0
PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Process:
    """One running process. `started` is in clock ticks since boot: pid and start together name it for good."""

    pid: int
    parent: int
    session: int
    started: int


def running() -> dict[int, Process]:
    """Every process of this machine that is not a zombie, by pid."""
    return {process.pid: process for pid in _pids() if (process := _read(pid))}


def keeper(pid: int) -> Keeper:
    """The identity of a process that runs now. Raises ProcessLookupError when it does not."""
    if found := _read(pid):
        return Keeper(pid, found.started)
    raise ProcessLookupError(pid)


def lives(keeper: Keeper) -> bool:
    found = _read(keeper.pid)
    return found is not None and found.started == keeper.started


def tree(root: Keeper, others: Iterable[Keeper] = ()) -> tuple[int, ...]:
    """The pids below `root`, without those below `others` and without this process: a cluster that takes itself down ends the rest.

    Nodes nest (the head's autoscaler starts the workers), so a node's own tree ends where another's begins. Should the
    keeper itself be gone, its orphans are still found by the session they were started in.
    """
    table = running()
    roots = {other.pid for other in others if _same(table, other)} - {root.pid}
    found = {root.pid} if _same(table, root) else set()
    found |= {p.pid for p in table.values() if p.session == root.pid and p.started >= root.started}
    while more := {p.pid for p in table.values() if p.parent in found and p.pid not in roots} - found:
        found |= more
    return tuple(sorted(found - {root.pid, os.getpid()}))


def command(pid: int) -> tuple[str, ...]:
    """The words a process was started with; none once it has ended."""
    try:
        return tuple(Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0"))
    except OSError:
        return ()


def end(members: Callable[[], tuple[int, ...]], grace_s: float = GRACE_S) -> bool:
    """Asks every member to end, then kills what is left, again and again until none is. False if some would not die."""
    asked, hard = time.monotonic() + grace_s, time.monotonic() + grace_s + KILL_S
    _signal(members() if grace_s else (), signal.SIGTERM)
    while left := members():
        if time.monotonic() > hard:
            return False
        if time.monotonic() >= asked:
            _signal(left, signal.SIGKILL)
        time.sleep(PAUSE_S)
    return True


def is_free(port: int) -> bool:
    """Whether a TCP port can be bound on every address of this machine."""
    with socket.socket() as trial, suppress(OSError):
        trial.bind(("0.0.0.0", port))
        return True
    return False


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _read(pid: int) -> Process | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else Process(pid, int(fields[1]), int(fields[3]), int(fields[19]))


def _same(table: dict[int, Process], known: Keeper) -> bool:
    found = table.get(known.pid)
    return found is not None and found.started == known.started
