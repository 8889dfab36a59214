"""Living: who left a mark in a store, and whether that process is known to have died. Knows processes of this machine alone."""

from __future__ import annotations

import os
from pathlib import Path

BOOT = Path("/proc/sys/kernel/random/boot_id")  # process numbers start anew with each boot, and in each namespace


def myself() -> bytes:
    """Machine, process number and start; nothing where the system does not tell."""
    try:
        return f"{_machine()} {os.getpid()} {_started(os.getpid())}".encode()
    except OSError:
        return b""


def known_dead(who: bytes) -> bool:
    """Whether it ran on this machine and does so no longer. One of another machine, or that did not say, may live."""
    try:
        machine, pid, started = who.decode().split()
        if machine != _machine():
            return False
    except (OSError, ValueError):
        return False
    try:
        return _started(int(pid)) != started
    except (OSError, ValueError):
        return True


def _machine() -> str:
    return f"{BOOT.read_text().strip()}/{os.readlink('/proc/self/ns/pid')}"


def _started(pid: int) -> str:
    """Clock ticks after boot; the 22nd field, counted behind the name, which may hold spaces. A zombie has died."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    if fields[0] == "Z":
        raise ProcessLookupError(pid)
    return fields[19]
