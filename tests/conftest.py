"""Every test has a home of its own, and the run leaves no process behind."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from mlray.home import Home

if TYPE_CHECKING:
    from tests.clusters import Shared

# Inherited by everything a test starts; how its processes are found again at the end.
TAG = f"MLRAY_TEST_RUN={secrets.token_hex(8)}"
os.environ[TAG.split("=")[0]] = TAG.split("=")[1]

# Whatever a test starts asks stand-ins on this machine and nobody's account.
os.environ |= {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
os.environ |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}

SHUTDOWN_S = 30.0

# A full run has two workers. Clusters run in one, one after the other; everything else runs beside them and gives way.
# By file, and not by xdist's own groups: those do nothing under pytest 9.2, which no longer reads the name they write.
ALONE = {"ray": "mark.ray", "services": "postgres"}
if os.environ.get("PYTEST_XDIST_WORKER", "gw0") != "gw0":
    os.nice(5)
settings.register_profile("beside", deadline=None)  # tests assert no times
settings.load_profile("beside")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files with tests that start Ray go to one worker, and so do those that share a database; any other file goes where there is room."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return together(nodeid.partition("::")[0])

    return ByFile(config, log)


@cache
def together(file: str) -> str:
    """The group of a test file, which may be its own."""
    text = (Path(__file__).parents[1] / file).read_text().lower()
    return next((name for name, sign in ALONE.items() if sign in text), file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules without Ray first, then those that share a cluster, so that it is started once, then those with their own."""
    ranks: dict[Path, int] = {}
    for item in items:
        rank = (1 if "shared_cluster" in getattr(item, "fixturenames", ()) else 2) if item.get_closest_marker("ray") else 0
        ranks[item.path] = max(rank, ranks.get(item.path, 0))
    items.sort(key=lambda item: ranks[item.path])


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLRAY_HOME", str(tmp_path / "home"))
    for name in ("MLRAY_DATABASE", "MLRAY_STORE", "MLRAY_DEBUG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def home() -> Home:
    return Home.locate()


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """One spot node of two CPUs, for modules that kill no node and leave no actor; up already if a module before used it."""
    from tests import clusters

    return clusters.shared(tmp_path_factory.mktemp("shared"), clusters.SPOT_ONLY)


@pytest.fixture(scope="session", autouse=True)
def _nothing_left_running() -> Iterator[None]:
    """Set up first and torn down last, after every cluster's own fixture. Fails the run, then cleans up by id."""
    yield
    if clusters := sys.modules.get("tests.clusters"):
        clusters.let_go()
    deadline = time.monotonic() + SHUTDOWN_S
    while (left := ours()) and time.monotonic() < deadline:
        time.sleep(0.2)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not left, f"still running at the end: {left}"


def ours() -> dict[int, str]:
    """Processes this run started, by id: they carry its tag, or descend from one that does."""
    parents, found = {}, {os.getpid()}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(folder.name)] = int(parent)
                if TAG.encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found.add(int(folder.name))
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    left = {pid: _command(pid) for pid in sorted(found - {os.getpid()}) if pid in parents}
    return {
        pid: command for pid, command in left.items() if "multiprocessing.resource_tracker" not in command
    }  # Python's own; ends with us


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:120]
    return "gone"
