"""Real clusters for test modules: one that they share, and one of a module's own that it may break.

A module that kills no node and leaves nothing behind asks for the fixture `shared_cluster`, which is up already when a
module before used it. Else:

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
from dataclasses import dataclass
from pathlib import Path

import ray

from mlray.home import Home
from mlray.launch import on_ray
from mlray.launch.status import missing

LOCAL = Path(__file__).parents[1] / "cluster" / "local.yaml"
SPOT_ONLY = ("min_workers: 1\n    max_workers: 2\n\n#", "min_workers: 0\n    max_workers: 0\n\n#")
Changes = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Shared:
    """A cluster that one module after the other uses, and the home it was started from."""

    home: Home
    connection: on_ray.Connection
    changes: Changes


_kept: list[Shared] = []  # one at most: two clusters would fight for the machine, and a process drives one at a time


def variant(folder: Path, *changes: tuple[str, str]) -> Path:
    """The local cluster file with texts replaced; each must be in it."""
    text = LOCAL.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = folder / "cluster.yaml"
    file.write_text(text)
    return file


def shared(folder: Path, *changes: tuple[str, str]) -> Shared:
    """The cluster that is up if it is of this shape and as good as new, else one that is started in the folder."""
    if not _kept or _kept[0].changes != changes or not _as_new(_kept[0]):
        let_go()
        home = Home.at(folder / "home")
        name = on_ray.up(home, variant(folder, *changes)).status.name
        _kept.append(Shared(home, on_ray.connect(home, name), changes))
    return _kept[0]


def let_go() -> None:
    """Ends the shared cluster, if one is up."""
    while _kept:
        found = _kept.pop()
        found.connection.close()
        on_ray.down(found.home, found.connection.name)


def _as_new(found: Shared) -> bool:
    """Whether all the nodes it keeps are there, and no actor that a module left."""
    whole = eventually(lambda: not missing(on_ray.status(found.home, found.connection.name), found.connection.cluster))
    return whole and not ray.util.list_named_actors(all_namespaces=True)


@contextmanager
def running_cluster(home: Home, file: Path = LOCAL) -> Iterator[on_ray.Connection]:
    """Takes 14 to 20 s to come up on two cores and 2 s to go down. MLRAY_HOME is this home's meanwhile."""
    let_go()
    before = os.environ.get("MLRAY_HOME")
    os.environ.update(home.environment())
    try:
        name = on_ray.up(home, file).status.name
        with on_ray.connect(home, name) as connection:
            yield connection
    finally:
        on_ray.down(home, on_ray.read_cluster(file, home).cluster_name)
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
