"""What Ray moves from memory to disk: sealed, restored on any node, deleted; and seen in clear where we do not seal."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import ray
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from mlray.errors import TamperError
from mlray.home import Home
from mlray.launch.environment import spill_config
from mlray.launch.on_ray import Connection
from mlray.launch.spill import SEGMENT, TAG, SealedReader, write_sealed
from mlray.launch.store import ClusterStore
from tests.clusters import eventually

PATTERN = b"known plaintext, nowhere to be seen: "
OBJECT = PATTERN * (4_000_000 // len(PATTERN))
OBJECTS = 60  # 240 MB, three times what a store holds
CIPHER = AESGCM(bytes(32))


def sealed(*objects: bytes, head: bytes = b"head") -> tuple[io.BytesIO, list[tuple[int, int]]]:
    file = io.BytesIO()
    return file, [write_sealed(file, CIPHER, head, memoryview(data)) for data in objects]


def opened(file: bytes, at: int, size: int, count: int) -> bytes:
    return SealedReader(io.BytesIO(file), CIPHER, at, size).take(count)


@pytest.mark.parametrize("size", [0, 1, SEGMENT - 4, SEGMENT - 3, 2 * SEGMENT - 4, 2 * SEGMENT, 3 * SEGMENT + 7])
def test_objects_of_any_size_come_back_whole(size: int):
    data = os.urandom(size)
    file, places = sealed(b"first", data, b"last")
    assert [opened(file.getvalue(), *place, 4 + n) for place, n in zip(places, (5, size, 4), strict=True)] == [
        b"headfirst",
        b"head" + data,
        b"headlast",
    ]


@given(st.binary(max_size=300), st.integers(0), st.integers(0, 7))
def test_a_flipped_bit_never_gives_a_byte(data: bytes, at: int, bit: int):
    file, [(start, size)] = sealed(data)
    changed = bytearray(file.getvalue())
    changed[at % len(changed)] ^= 1 << bit
    with pytest.raises(TamperError, match="changed on disk"):
        opened(bytes(changed), start, size, 1)


def test_an_object_cut_short_or_moved_is_refused():
    file, [first, second] = sealed(bytes(3 * SEGMENT), b"second")
    whole, step = file.getvalue(), SEGMENT + TAG
    with pytest.raises(TamperError):  # without its last segment
        opened(whole, first[0], 3 * step, 3 * SEGMENT)
    with pytest.raises(TamperError):  # its second segment in place of its first
        opened(whole[step : 2 * step] + whole[step:], *first, 1)
    with pytest.raises(TamperError):  # another object in its place
        opened(whole[second[0] :], 0, second[1], 1)
    with pytest.raises(TamperError):  # more than there is
        opened(whole, *second, 4 + 7)


@pytest.mark.ray
def test_spilled_objects_are_sealed_restored_on_two_nodes_and_deleted(cluster: Connection, cluster_home: Home):
    record = ClusterStore(cluster_home, cluster.name).known()
    spill = Path(record.spill)
    refs = [make.options(label_selector=on("spot")).remote(i) for i in range(OBJECTS)]
    ray.wait(refs, num_returns=OBJECTS, timeout=120)
    assert sum(file.stat().st_size for file in spill.iterdir()) > 100_000_000
    assert {file.stat().st_mode & 0o777 for file in spill.iterdir()} == {0o600}
    for market in ("on-demand", "spot"):
        checks = [is_whole.options(label_selector=on(market)).remote(ref, i) for i, ref in enumerate(refs)]
        assert sum(ray.get(checks, timeout=120)) == OBJECTS
    assert files_with_pattern(Path(record.scratch), cluster_home.root, Path(record.memory)) == []
    del refs, checks
    assert eventually(lambda: not of_living_nodes(spill), 120)


@pytest.mark.ray
def test_the_same_search_finds_what_plain_ray_spills():
    """The proof that the test above would notice. The folder is short: Unix socket paths end at 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        plain = subprocess.run([sys.executable, "-c", PLAIN, folder], capture_output=True, text=True, timeout=120)
    assert "files with plaintext: 0" not in plain.stdout and "files with plaintext:" in plain.stdout, plain.stdout + plain.stderr


@pytest.mark.ray
def test_rays_own_class_refuses_our_parameters(cluster: Connection, cluster_home: Home):
    """Where the shim is not in effect, Ray can do nothing with the setting: it fails, and writes nothing."""
    from ray._private.external_storage import setup_external_storage

    store = ClusterStore(cluster_home, cluster.name)
    with pytest.raises(TypeError, match="sealed_in"):
        setup_external_storage(json.loads(spill_config(store.known(), store.folder)), "node", "session")


def on(market: str) -> dict[str, str]:
    return {"ray.io/market-type": market}


@ray.remote(num_cpus=1, max_retries=0)
def make(i: int):
    return np.frombuffer(OBJECT + bytes([i]), np.uint8)


@ray.remote(num_cpus=1, max_retries=0)
def is_whole(array, i: int) -> bool:
    return bool(array.tobytes() == OBJECT + bytes([i]))


def of_living_nodes(spill: Path) -> list[Path]:
    """Ray deletes through the node that spilled; what a node leaves that has gone meanwhile stays until the cluster goes."""
    living = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
    return [file for file in spill.iterdir() if file.name.partition("-")[0] in living]


def files_with_pattern(*roots: Path) -> list[str]:
    return [str(file) for root in roots for file in every_file(root) if PATTERN in file.read_bytes()]


def every_file(root: Path) -> Iterator[Path]:
    return (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())


PLAIN = f"""
import os, sys, pathlib
for key in [k for k in os.environ if k.startswith("RAY_")]:
    del os.environ[key]
os.environ["RAY_AUTH_MODE"] = "disabled"
import numpy as np, ray
ray.init(num_cpus=1, object_store_memory=80_000_000, include_dashboard=False, _temp_dir=sys.argv[1] + "/r", log_to_driver=False)
pattern = {PATTERN!r}
refs = [ray.put(np.frombuffer(pattern * ({len(OBJECT)} // len(pattern)), np.uint8)) for _ in range(60)]
files = [p for p in pathlib.Path(sys.argv[1]).rglob("*") if p.is_file() and not p.is_symlink()]
print("files with plaintext:", sum(pattern in p.read_bytes() for p in files))
ray.shutdown()
"""
