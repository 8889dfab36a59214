"""up, down, status, connect: clusters on this machine, from their files. What starts and ends nodes is `local.py`."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from mlray.errors import ClusterError, SpecError
from mlray.home import Home
from mlray.launch import store as stores
from mlray.launch.connection import Connection
from mlray.launch.dashboard import seen_nodes
from mlray.launch.launcher import Launcher
from mlray.launch.local import LocalProvider
from mlray.launch.machine import end_nodes, live_nodes, pids, remains
from mlray.launch.record import Record
from mlray.launch.status import NodeState, Status, missing, status_of
from mlray.launch.store import ClusterStore
from mlray.market.prices import store as prices
from mlray.market.spec import Cluster
from mlray.progress import OnProgress, Progress, silent

__all__ = ["Connection", "Up", "clusters", "connect", "down", "kill_node", "only", "read_cluster", "status", "up"]

UP_S = 240.0  # 14 s on an idle laptop; 95 s were seen at a load of 23 on two cores
PAUSE_S = 0.1
PROVIDER = f"{LocalProvider.__module__}.{LocalProvider.__qualname__}"


Ended = Callable[[Record], None]


def unheeded(record: Record) -> None:
    """Nobody wants to see the last record."""


@dataclass(frozen=True, slots=True)
class Up:
    """A cluster that runs. `fresh` is False when it was up before; `seconds` is how long it took now."""

    status: Status
    fresh: bool
    seconds: float


def up(home: Home, cluster_file: Path, on_progress: OnProgress = silent) -> Up:
    """Starts the cluster a file declares and waits for its head and every node it keeps. Harmless when it is up.

    When it fails or is interrupted, nothing of it stays. Raises SpecError for a file nobody can act on, ClusterError when
    the cluster does not start; its hint holds what the node that failed said last.
    """
    began = time.monotonic()
    cluster = read_cluster(cluster_file, home)
    prices.refuse_unknown(cluster, cluster_file)
    store = ClusterStore(home, cluster.cluster_name)
    with store.alone():
        if (found := _glance(store)) and found.up:
            on_progress(Progress("up", f"{store.name} is up since before", 1, 1))
            return Up(found, False, time.monotonic() - began)
        _take_down(store, silent)
        with _uninterrupted_on_failure(lambda: _take_down(store, silent)):
            on_progress(Progress("up", f"starting the head of {store.name}"))
            with Launcher(store, cluster_file) as launcher:
                ready = _wait(store, cluster, launcher, on_progress)
    return Up(ready, True, time.monotonic() - began)


def down(home: Home, name: str, on_progress: OnProgress = silent, ended: Ended = unheeded) -> bool:
    """Ends every process of the cluster and removes its folders, whatever state it is in. False when there was none.

    `ended` is shown the last record once every process has ended, and before the folders go.
    """
    store = ClusterStore(home, name)
    with store.alone():
        return _take_down(store, on_progress, ended)


def status(home: Home, name: str) -> Status:
    """What runs now. Raises ClusterError when there is no such cluster, or its head refuses this home's token."""
    store = ClusterStore(home, name)
    record = store.known()
    if found := _glance(store):
        return found
    raise ClusterError(f"cluster {name} is being made", hint=f"look again in a moment, or run mlray down {record.name}")


def clusters(home: Home) -> tuple[str, ...]:
    """Names of the clusters this home has started and not taken down, oldest first."""
    return stores.names(home)


def only(home: Home) -> str:
    """The name of the one cluster that is up. Raises ClusterError when there is none, or more than one."""
    found = clusters(home)
    if not found:
        raise ClusterError("no cluster is up", hint="run mlray up cluster/local.yaml")
    if len(found) > 1:
        raise ClusterError(f"{len(found)} clusters are up: {', '.join(found)}", hint="say which one")
    return found[0]


def kill_node(home: Home, name: str, node_id: str) -> None:
    """Kills every process of a node at once, as when a machine is taken away without notice: for drills."""
    store = ClusterStore(home, name)
    running = [node.id for node in live_nodes(store.known())]
    if node_id not in running:
        raise ClusterError(f"cluster {name} has no running node {node_id}", hint=f"its nodes are {', '.join(running)}")
    end_nodes(store, [node_id], grace_s=0)


def connect(home: Home, name: str | None = None) -> Connection:
    """Makes this process a driver of the cluster, in namespace `mlray`. Raises ClusterError when that cannot be.

    The name may be left out when only one cluster is up. The head is asked first, over HTTP: Ray's own words for a wrong
    token or a dead head come after 20 s and name neither.
    """
    found = status(home, name or only(home))
    store = ClusterStore(home, found.name)
    if not found.up:
        hint = f"its log is in {store.known().scratch}; run mlray down, then mlray up {store.file}"
        raise ClusterError(f"the head of cluster {found.name} does not answer", hint=hint)
    return Connection.open(store, read_cluster(store.file, home))


def read_cluster(path: Path, home: Home) -> Cluster:
    """The cluster a file declares, its prices looked up. Raises SpecError for a provider that mlray does not start itself."""
    cluster = prices.read_cluster(home, path)
    if cluster.provider.get("module") != PROVIDER:
        found = cluster.provider.get("module") or cluster.provider.get("type")
        raise SpecError(f"{path}: provider: {found!r} is not started by mlray", hint=f"write type: external and module: {PROVIDER}")
    return cluster


def _wait(store: ClusterStore, cluster: Cluster, launcher: Launcher, on_progress: OnProgress) -> Status:
    deadline, told = time.monotonic() + UP_S, set[str]()
    while time.monotonic() < deadline and not launcher.failed:
        found = _glance(store)
        for node in (n for n in found.nodes if n.state is NodeState.READY and n.id not in told) if found else ():
            told.add(node.id)
            on_progress(Progress("up", f"{node.id} is ready", len(told)))
        if found and launcher.done and not missing(found, cluster):
            return found
        time.sleep(PAUSE_S)
    why = "its head did not start" if launcher.failed else f"not ready after {UP_S:.0f} s"
    raise ClusterError(f"cluster {store.name} was not started: {why}", hint=launcher.said())


def _glance(store: ClusterStore) -> Status | None:
    """The status, None while there is nothing to see: the launcher writes the record and the file one after the other."""
    record = store.read()
    if record is None or not store.file.exists():
        return None
    running = {node.id: pids(record, node) for node in record.live()}
    head = any(running[node.id] for node in record.live() if node.head)
    seen = seen_nodes(record.dashboard, store.token.read_text()) if head else None
    return status_of(record, read_cluster(store.file, store.home), seen, running)


def _take_down(store: ClusterStore, on_progress: OnProgress, ended: Ended = unheeded) -> bool:
    try:
        record = store.read()
    except ClusterError:
        record = None  # a record nobody can read names no processes; its folders go
    if record is None:
        store.remove()
        return False
    # Forbidden first, or the head's autoscaler would replace what ends. A node being made just then is seen the next time.
    store.change(lambda record: replace(record, closing=True))
    while running := [node.id for node in store.known().nodes if remains(store.known(), node)]:
        on_progress(Progress("down", f"ending {', '.join(running)}"))
        end_nodes(store, running)
    ended(store.known())
    store.remove()
    on_progress(Progress("down", f"{store.name} is down"))
    return True


@contextmanager
def _uninterrupted_on_failure(clean: Callable[[], object]) -> Iterator[None]:
    """Cleans when anything goes wrong, Ctrl-C included. A second Ctrl-C does not stop the cleaning."""
    try:
        yield
    except BaseException:
        before = signal.getsignal(signal.SIGINT)
        with suppress(ValueError):  # only the main thread may set it
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            clean()
        finally:
            with suppress(ValueError):
                signal.signal(signal.SIGINT, before)
        raise
