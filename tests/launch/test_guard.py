"""A node that could write objects to disk in clear does not get work."""

from __future__ import annotations

import base64
import json

import pytest

from mlray.launch.guard import Command, unguarded

SPILL = json.dumps({"type": "smart_open", "params": {"sealed_in": "/s", "key_file": "/k"}})
PLAIN = json.dumps({"type": "filesystem", "params": {"directory_path": "/tmp/x"}})
MEMORY = "/dev/shm/mlray-0-abcd"


def raylet(plasma: str = "/dev/shm", fallback: str = MEMORY) -> Command:
    return ("/ray/raylet/raylet", f"--plasma_directory={plasma}", f"--fallback_directory={fallback}")


def gcs(spill: str = SPILL) -> Command:
    return ("/ray/gcs/gcs_server", "--config_list=" + base64.b64encode(json.dumps({"object_spilling_config": spill}).encode()).decode())


def test_a_head_that_seals_and_a_worker_beside_it_are_guarded():
    assert unguarded([raylet(), gcs(), ("ray::IDLE",), ()], True, SPILL, MEMORY) == ""
    assert unguarded([raylet()], False, SPILL, MEMORY) == ""


@pytest.mark.parametrize(
    ("commands", "why"),
    [
        ([raylet(), gcs(PLAIN)], "Ray would spill objects as {'type': 'filesystem', 'params': {'directory_path': '/tmp/x'}}"),
        ([raylet(), gcs("{}")], "Ray would spill objects as {}"),
        ([raylet(plasma="/tmp/r"), gcs()], "/dev/shm is too small for its object store, which is in /tmp/r"),
        ([raylet(fallback="/tmp/r"), gcs()], "objects for which the store has no room would be in /tmp/r"),
        ([raylet()], "its raylet or its GCS is gone"),
        ([gcs()], "its raylet or its GCS is gone"),
    ],
)
def test_a_head_that_does_not_is_named_with_what_it_would_do(commands: list[Command], why: str):
    assert unguarded(commands, True, SPILL, MEMORY) == why
