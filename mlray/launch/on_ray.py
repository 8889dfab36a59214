"""up, down, status, connect: clusters on this machine, from their files. What starts and ends nodes is `local.py`."""

from __future__ import annotations

import logging
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

from mlray import files
from mlray.errors import ClusterError, SpecError
from mlray.home import Home, private_folder
from mlray.launch import store as stores
from mlray.launch.dashboard import seen_nodes
from mlray.launch.environment import driver_environment
from mlray.launch.local import LocalProvider, end_nodes, live_nodes, members, tail
from mlray.launch.status import NodeState, Status, missing, status_of
from mlray.launch.store import ClusterStore
from mlray.market.spec import Cluster
from mlray.progress import OnProgress, Progress, silent

UP_S = 240.0  # 14 s on an idle laptop; 95 s were seen at a load of 23 on two cores
PAUSE_S = 0.1
NAMESPACE = "mlray"
PROVIDER = f"{LocalProvider.__module__}.{LocalProvider.__qualname__}"


@dataclass(frozen=True, slots=True)
class Up:
    """A cluster that runs. `fresh` is False when it was up before; `seconds` is how long it took now."""

    status: Status
    fresh: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Connection:
    """A driver's hold on a cluster. `http_port` is the port kept free for Serve.

    Leaving it disconnects the driver and gives this process its environment back.
    """

    name: str
    address: str
    dashboard: str
    head_ip: str
    http_port: int
    token: Path
    cluster: Cluster
    before: tuple[tuple[str, str | None], ...] = field(repr=False)

    def close(self) -> None:
        import ray

        ray.shutdown()
        _restore(self.before)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def up(home: Home, cluster_file: Path, on_progress: OnProgress = silent) -> Up:
    """Starts the cluster a file declares and waits for its head and every node it keeps. Harmless when it is up.

    When it fails or is interrupted, nothing of it stays. Raises SpecError for a file nobody can act on, ClusterError when
    the cluster does not start; its hint holds what the node that failed said last.
    """
    began = time.monotonic()
    cluster = read_cluster(cluster_file)
    name = cluster.cluster_name
    if ClusterStore(home, name).read() and (found := status(home, name)).up:
        on_progress(Progress("up", f"{name} is up since before", 1, 1))
        return Up(found, False, time.monotonic() - began)
    down(home, name)
    with _nothing_left_on_failure(home, name):
        on_progress(Progress("up", f"starting the head of {name}"))
        launcher = _launch(home, name, cluster_file)
        try:
            ready = _wait(home, cluster, launcher, on_progress)
        finally:
            _stop(launcher)
    return Up(ready, True, time.monotonic() - began)


def down(home: Home, name: str, on_progress: OnProgress = silent) -> bool:
    """Ends every process of the cluster and removes its folders, whatever state it is in. False when there was none."""
    store = ClusterStore(home, name)
    try:
        record = store.read()
    except ClusterError:
        record = None  # a record nobody can read names no processes; its folders go
    if record is None:
        store.remove()
        return False
    # Forbidden first, or the head's autoscaler would replace what ends. A node being made just then is seen the next time.
    record = store.change(lambda record: replace(record, closing=True))
    while running := [node.id for node in store.known().nodes if members(store.known(), node)]:
        on_progress(Progress("down", f"ending {', '.join(running)}"))
        end_nodes(store, running)
    store.remove()
    on_progress(Progress("down", f"{name} is down"))
    return True


def status(home: Home, name: str) -> Status:
    """What runs now. Raises ClusterError when there is no such cluster, or its head refuses this home's token."""
    store = ClusterStore(home, name)
    record = store.known()
    seen = seen_nodes(record.dashboard, store.token.read_text()) if any(members(record, n) for n in record.live() if n.head) else None
    pids = {node.id: members(record, node) for node in record.live()}
    return status_of(record, read_cluster(store.file), seen, pids)


def clusters(home: Home) -> tuple[str, ...]:
    """Names of the clusters this home has started and not taken down, oldest first."""
    return stores.names(home)


def kill_node(home: Home, name: str, node_id: str) -> None:
    """Kills every process of a node at once, as when a machine is taken away without notice: for drills."""
    store = ClusterStore(home, name)
    node = store.known().node(node_id)
    if node is None or node.ended is not None:
        running = ", ".join(other.id for other in live_nodes(store.known()))
        raise ClusterError(f"cluster {name} has no running node {node_id}", hint=f"its nodes are {running}")
    end_nodes(store, [node_id], grace_s=0)


def connect(home: Home, name: str | None = None) -> Connection:
    """Makes this process a driver of the cluster, in namespace `mlray`. Raises ClusterError when that cannot be.

    The name may be left out when only one cluster is up.
    """
    import ray

    found = status(home, name or only(home))
    store = ClusterStore(home, found.name)
    if not found.up:
        hint = f"its log is in {store.known().scratch}; run mlray down, then mlray up {store.file}"
        raise ClusterError(f"the head of cluster {found.name} does not answer", hint=hint)
    record = store.known()
    before = _enter(driver_environment(record, store.token))
    head = record.address.rpartition(":")[0]
    try:
        ray.init(record.address, namespace=NAMESPACE, log_to_driver=False, logging_level="warning", _node_ip_address=head)
    except (ConnectionError, RuntimeError, ValueError) as error:
        _restore(before)
        raise ClusterError(f"cannot connect to cluster {found.name} at {record.address}: {error}") from error
    _log_what_ray_prints()
    cluster = read_cluster(store.file)
    return Connection(found.name, record.address, record.dashboard, head, record.ports.http, store.token, cluster, before)


def read_cluster(path: Path) -> Cluster:
    """The cluster a file declares. Raises SpecError for a provider that mlray does not start itself."""
    cluster = files.load(path, Cluster)
    if cluster.provider.get("module") != PROVIDER:
        found = cluster.provider.get("module") or cluster.provider.get("type")
        raise SpecError(f"{path}: provider: {found!r} is not started by mlray", hint=f"write type: external and module: {PROVIDER}")
    return cluster


def _launch(home: Home, name: str, file: Path) -> subprocess.Popen[bytes]:
    """Ray's own launcher, as people run it: it makes the head through the provider; the head makes the rest."""
    folder = private_folder(home.prepare().cluster(name).parent)
    env = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")} | home.environment()
    env["PYTHONPATH"] = ":".join(filter(None, [str(Path(stores.__file__).parents[2]), env.get("PYTHONPATH", "")]))
    command = [sys.executable, "-m", "ray.scripts.scripts", "up", "--yes", "--no-config-cache", str(file)]
    # A session of its own: Ctrl-C reaches us alone, and we take the cluster down.
    with open(folder / f".{name}.log", "wb") as log:
        return subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _wait(home: Home, cluster: Cluster, launcher: subprocess.Popen[bytes], on_progress: OnProgress) -> Status:
    deadline, told = time.monotonic() + UP_S, set[str]()
    while time.monotonic() < deadline:
        if launcher.poll() not in (None, 0):
            raise _not_started(home, cluster.cluster_name, "its head did not start")
        found = _glance(home, cluster)
        for node in (n for n in found.nodes if n.state is NodeState.READY and n.id not in told) if found else ():
            told.add(node.id)
            on_progress(Progress("up", f"{node.id} is ready", len(told)))
        if found and launcher.poll() == 0 and not missing(found, cluster):
            return found
        time.sleep(PAUSE_S)
    raise _not_started(home, cluster.cluster_name, f"not ready after {UP_S:.0f} s")


def _glance(home: Home, cluster: Cluster) -> Status | None:
    """The status once there is something to see: the launcher writes the record and the file one after the other."""
    store = ClusterStore(home, cluster.cluster_name)
    record = store.read()
    return status(home, cluster.cluster_name) if record and record.nodes and store.file.exists() else None


def _not_started(home: Home, name: str, why: str) -> ClusterError:
    record = ClusterStore(home, name).read()
    said = [f"{node.id}: {text}" for node in record.nodes if (text := tail(node))] if record else []
    log = home.cluster(name).parent / f".{name}.log"
    said = said or log.read_text(errors="replace").splitlines()[-6:]
    return ClusterError(f"cluster {name} was not started: {why}", hint="\n  ".join(said))


@contextmanager
def _nothing_left_on_failure(home: Home, name: str) -> Iterator[None]:
    """Ctrl-C included. A second Ctrl-C does not stop the cleaning."""
    try:
        yield
    except BaseException:
        before = signal.getsignal(signal.SIGINT)
        with suppress(ValueError):  # only the main thread may set it
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            down(home, name)
        finally:
            with suppress(ValueError):
                signal.signal(signal.SIGINT, before)
        raise


def _stop(launcher: subprocess.Popen[bytes]) -> None:
    launcher.kill()
    launcher.wait()


def only(home: Home) -> str:
    """The name of the one cluster that is up. Raises ClusterError when there is none, or more than one."""
    found = clusters(home)
    if not found:
        raise ClusterError("no cluster is up", hint="run mlray up cluster/local.yaml")
    if len(found) > 1:
        raise ClusterError(f"{len(found)} clusters are up: {', '.join(found)}", hint="say which one")
    return found[0]


def _enter(environment: dict[str, str]) -> tuple[tuple[str, str | None], ...]:
    """Sets the environment and returns what it was before. Core dumps go off: one would hold what the driver has opened."""
    before = tuple((key, os.environ.get(key)) for key in environment)
    os.environ.update(environment)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    _forget_token()
    return before


def _restore(before: tuple[tuple[str, str | None], ...]) -> None:
    for key, value in before:
        if value is None:
            os.environ.pop(key, None)
        else:
            os.environ[key] = value


def _log_what_ray_prints() -> None:
    """Ray prints its raylets' remarks over whatever is on the screen, even with log_to_driver off."""
    from ray._private.ray_logging import global_worker_stdstream_dispatcher as printer

    logger = logging.getLogger("mlray.ray")
    printer.remove_handler("ray_print_logs")
    printer.remove_handler("mlray")
    printer.add_handler("mlray", lambda batch: [logger.info("%s", line) for line in batch["lines"]])


def _forget_token() -> None:
    """Ray's core keeps the first token a process has used; a process may meet a second cluster, or the first started anew."""
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
