"""A real cluster for a test module: up, connected, and down again whatever happens.

@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with running_cluster(Home.at(tmp_path_factory.mktemp("home"))) as connection:
        yield connection
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mlray.home import Home
from mlray.launch import on_ray

LOCAL = Path(__file__).parents[1] / "cluster" / "local.yaml"


def variant(folder: Path, *changes: tuple[str, str]) -> Path:
    """The local cluster file with texts replaced; each must be in it."""
    text = LOCAL.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = folder / "cluster.yaml"
    file.write_text(text)
    return file


@contextmanager
def running_cluster(home: Home, file: Path = LOCAL) -> Iterator[on_ray.Connection]:
    """Takes 14 to 20 s to come up on two cores and 2 s to go down. MLRAY_HOME is this home's meanwhile."""
    before = os.environ.get("MLRAY_HOME")
    os.environ.update(home.environment())
    try:
        name = on_ray.up(home, file).status.name
        with on_ray.connect(home, name) as connection:
            yield connection
    finally:
        on_ray.down(home, on_ray.read_cluster(file).cluster_name)
        for key in home.environment():
            os.environ.pop(key, None)
        if before is not None:
            os.environ["MLRAY_HOME"] = before


def eventually(claim: Callable[[], object], seconds: float = 30.0) -> bool:
    """Whether the claim holds before the time is over; asked ten times a second."""
    deadline = time.monotonic() + seconds
    while not (held := bool(claim())) and time.monotonic() < deadline:
        time.sleep(0.1)
    return held
