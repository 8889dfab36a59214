"""What must be true of a started node before it gets work: nothing it holds can reach a disk in clear."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable

TESTED = ("2.60.0",)  # the versions of Ray on which tests/launch/test_spill.py has passed
Command = tuple[str, ...]


def unguarded(commands: Iterable[Command], head: bool, spill: str, memory: str) -> str:
    """Why the node with these processes may not go on, from the words they were started with; "" when it may.

    The head's GCS hands its spill setting to every node; each raylet has its own folders for objects.
    """
    raylet, gcs = _program(commands := list(commands), "raylet"), _program(commands, "gcs_server")
    if raylet is None or (head and gcs is None):
        return "its raylet or its GCS is gone"
    if gcs is not None and _spill(gcs) != json.loads(spill):
        return f"Ray would spill objects as {_spill(gcs)}"
    if (found := _option(raylet, "plasma_directory")) != "/dev/shm":
        return f"/dev/shm is too small for its object store, which is in {found}"
    if (found := _option(raylet, "fallback_directory")) != memory:
        return f"objects for which the store has no room would be in {found}"
    return ""


def _spill(gcs: Command) -> object:
    config = json.loads(base64.b64decode(_option(gcs, "config_list")))
    return json.loads(config.get("object_spilling_config", "{}"))


def _option(command: Command, name: str) -> str:
    return next((word.partition("=")[2] for word in command if word.startswith(f"--{name}=")), "")


def _program(commands: Iterable[Command], name: str) -> Command | None:
    return next((command for command in commands if command and command[0].endswith(f"/{name}")), None)
