"""Clusters on this machine: up, connected to, killed, grown, shrunk and down."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
import ray

from mlray.clock import SystemClock
from mlray.errors import ClusterError, SpecError
from mlray.govern.actions import Drain
from mlray.govern.cluster import LiveCluster
from mlray.home import Home
from mlray.launch import on_ray, processes
from mlray.launch.dashboard import seen_nodes
from mlray.launch.governed import LocalMachines
from mlray.launch.on_ray import Connection
from mlray.launch.record import Record
from mlray.launch.status import NodeState
from mlray.launch.store import ClusterStore
from tests.clusters import LOCAL, eventually, variant
from tests.launch.conftest import IDLE_S

SHORT = timedelta(seconds=2)
DETECTED_S = 8.0  # 2 to 4 s when the machine is not busy; Ray's defaults took 14 to 15


def test_no_cluster_is_said_with_what_to_do(home: Home):
    with pytest.raises(ClusterError, match="no cluster is up") as said:
        on_ray.connect(home)
    assert said.value.hint == "run mlray up cluster/local.yaml"
    with pytest.raises(ClusterError, match="no cluster named local is up"):
        on_ray.status(home, "local")
    assert on_ray.clusters(home) == () and not on_ray.down(home, "local")


def test_a_file_whose_nodes_others_start_is_refused(home: Home, tmp_path: Path):
    file = variant(tmp_path, ("  type: external\n  module: mlray.launch.local.LocalProvider", "  type: aws\n  region: eu-west-1"))
    with pytest.raises(SpecError, match="'aws' is not started by mlray"):
        on_ray.up(home, file)


@pytest.mark.ray
def test_up_when_up_says_so_at_once(cluster: Connection, cluster_home: Home):
    again = on_ray.up(cluster_home, ClusterStore(cluster_home, cluster.name).file)
    assert not again.fresh and again.seconds < 5
    assert on_ray.clusters(cluster_home) == ("local",)


@pytest.mark.ray
def test_work_goes_to_the_market_it_asks_for(cluster: Connection):
    assert ray.get([where.options(label_selector=on(m)).remote() for m in ("spot", "on-demand")], timeout=60) == ["spot", "on-demand"]


@pytest.mark.ray
def test_secrets_are_in_no_command_line_and_no_environment(cluster: Connection, cluster_home: Home):
    store = ClusterStore(cluster_home, cluster.name)
    secrets = [store.token.read_bytes(), store.spill_key.read_bytes()]
    pids = [pid for node in on_ray.status(cluster_home, cluster.name).nodes for pid in node.pids]
    texts = [Path(f"/proc/{pid}/{name}").read_bytes() for pid in pids for name in ("cmdline", "environ") if Path(f"/proc/{pid}").exists()]
    assert len(texts) > 40 and not any(secret in text for secret in secrets for text in texts)
    logs = [file for file in Path(store.known().scratch).rglob("*") if file.is_file() and not file.is_symlink()]
    assert len(logs) > 40 and not any(secret in file.read_bytes() for secret in secrets for file in logs)


@pytest.mark.ray
def test_what_a_cluster_keeps_is_closed_to_other_users(cluster: Connection, cluster_home: Home):
    store = ClusterStore(cluster_home, cluster.name)
    record = store.known()
    folders = [store.folder, Path(record.scratch), Path(record.scratch).parent, Path(record.spill), Path(record.memory)]
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}
    assert {file.stat().st_mode & 0o777 for file in (store.token, store.spill_key, store.file)} == {0o600}


@pytest.mark.ray
def test_a_home_with_another_token_is_refused_before_ray_is_asked(cluster: Connection, cluster_home: Home, tmp_path: Path):
    other = Home.at(tmp_path / "other")
    shutil.copytree(cluster_home.cluster(cluster.name), other.cluster(cluster.name))
    ClusterStore(other, cluster.name).token.write_text("0" * 64)
    with pytest.raises(ClusterError, match="refuses this home's token"):
        on_ray.connect(other)


@pytest.mark.ray
def test_a_killed_node_is_noticed_within_seconds_and_replaced(cluster: Connection, cluster_home: Home):
    assert eventually(lambda: ready(cluster_home, "spot") >= 1, 60)
    victim = next(n for n in on_ray.status(cluster_home, cluster.name).nodes if n.type == "spot" and n.state is NodeState.READY)
    began = time.monotonic()
    on_ray.kill_node(cluster_home, cluster.name, victim.id)
    assert eventually(lambda: not alive_since(cluster, victim.ip, victim.since), DETECTED_S)
    print(f"noticed after {time.monotonic() - began:.1f} s")
    assert eventually(lambda: ready(cluster_home, "spot") >= 1, 90)
    print(f"replaced after {time.monotonic() - began:.1f} s")
    with pytest.raises(ClusterError, match=f"no running node {victim.id}"):
        on_ray.kill_node(cluster_home, cluster.name, victim.id)


@pytest.mark.ray
def test_a_drained_node_takes_no_new_work_and_is_ended_when_its_time_is_over(cluster: Connection, cluster_home: Home):
    world = LiveCluster(cluster_home, cluster.name, cluster.dashboard, LocalMachines(cluster_home, cluster.name), SystemClock(), SHORT)
    assert eventually(lambda: {node.state for node in world.nodes()} == {"running", "idle"}, 60)
    victim = next(node.id for node in world.nodes() if "/spot-" in node.id)
    for _ in range(2):
        world.apply(Drain(victim, "flights", "on-demand is cheaper"))
    assert {node.id: node.state for node in world.nodes()}[victim] == "draining"
    assert eventually(lambda: victim not in {node.id for node in world.nodes()}, 30)
    assert eventually(lambda: any("/spot-" in node.id and node.state == "idle" for node in world.nodes()), 90)


@pytest.mark.ray
def test_nodes_come_with_the_work_and_go_when_idle(cluster: Connection, cluster_home: Home):
    assert eventually(lambda: ready(cluster_home, "spot") == 1, 90)
    began = time.monotonic()
    held = [Held.options(num_cpus=2, label_selector=on("spot")).remote() for _ in range(2)]
    assert len(set(ray.get([one.node.remote() for one in held], timeout=90))) == 2
    print(f"second node worked after {time.monotonic() - began:.1f} s")
    assert eventually(lambda: ready(cluster_home, "spot") == 2, 30)
    for one in held:
        ray.kill(one)
    began = time.monotonic()
    assert eventually(lambda: ready(cluster_home, "spot") == 1, IDLE_S + 60)
    print(f"back to one after {time.monotonic() - began:.1f} s")


@pytest.mark.ray
def test_the_file_works_with_rays_own_launcher_and_a_dead_head_is_named(home: Home):
    """`ray up`, a head that dies, `ray down`: every step as people without mlray's command line would do it."""
    try:
        ray_command("up", home)
        assert eventually(lambda: on_ray.status(home, "local").ready("head") == 1)
        on_ray.kill_node(home, "local", "head")
        with pytest.raises(ClusterError, match="the head of cluster local does not answer"):
            on_ray.connect(home)
        ray_command("down", home)
        record = ClusterStore(home, "local").known()
        assert processes_of(record) == ()
    finally:
        assert on_ray.down(home, "local")
    assert nothing_left(home, record)


@pytest.mark.ray
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_start_leaves_nothing(home: Home, number: signal.Signals):
    """Ctrl-C cleans up by itself; after a kill, `down` does, from what the record says."""
    starting = subprocess.Popen([sys.executable, "-c", UP, str(LOCAL)], env=os.environ | home.environment(), stderr=subprocess.PIPE)
    store = ClusterStore(home, "local")
    assert eventually(lambda: (record := store.read()) and any(node.keeper for node in record.nodes))
    record = store.known()
    starting.send_signal(number)
    starting.communicate(timeout=60)
    if number is signal.SIGKILL:
        assert on_ray.down(home, "local")
    assert nothing_left(home, record)


@pytest.mark.ray
def test_a_head_that_cannot_start_is_told_in_its_own_words_and_leaves_nothing(home: Home, tmp_path: Path):
    with pytest.raises(ClusterError, match="its head did not start") as said:
        on_ray.up(home, variant(tmp_path, ("--disable-usage-stats\nworker", "--no-such-option\nworker")))
    assert "No such option" in said.value.hint and on_ray.clusters(home) == ()


@pytest.mark.ray
def test_a_head_that_would_spill_in_clear_is_stopped_again(home: Home, tmp_path: Path):
    clear = variant(tmp_path, ("--disable-usage-stats\nworker", f"--object-spilling-directory={tmp_path}\nworker"))
    with pytest.raises(ClusterError) as said:
        on_ray.up(home, clear)
    assert "Ray would spill objects as {'type': 'filesystem'" in said.value.hint and on_ray.clusters(home) == ()


UP = "import sys; from mlray.home import Home; from mlray.launch import on_ray; on_ray.up(Home.locate(), sys.argv[1])"


@ray.remote(num_cpus=1)
def where() -> str:
    return os.environ["MLRAY_NODE"].rpartition("-")[0]


class _Held:
    def node(self) -> str:
        return os.environ["MLRAY_NODE"]


Held = ray.remote(_Held)


def on(market: str) -> dict[str, str]:
    return {"ray.io/market-type": market}


def ready(home: Home, type: str) -> int:
    return on_ray.status(home, "local").ready(type)


def alive_since(cluster: Connection, ip: str, since: float) -> bool:
    """Whether Ray still counts a node alive that was on this address before now; a later one may have its address."""
    found = [seen for seen in seen_nodes(cluster.dashboard, cluster.token.read_text()) or () if seen.ip == ip and seen.since >= since]
    return min(found, key=lambda seen: seen.since).alive


def ray_command(verb: str, home: Home) -> None:
    command = [sys.executable, "-m", "ray.scripts.scripts", verb, "--yes", str(LOCAL)]
    env = os.environ | home.environment() | {"PYTHONPATH": str(LOCAL.parents[1])}
    said = subprocess.run(command, env=env, capture_output=True, text=True, timeout=240)
    assert said.returncode == 0, said.stdout + said.stderr


def processes_of(record: Record) -> tuple[int, ...]:
    return tuple(pid for node in record.nodes if node.keeper for pid in processes.tree(node.keeper))


def nothing_left(home: Home, record: Record) -> bool:
    folders = [Path(record.scratch), Path(record.memory), home.cluster(record.name)]
    return processes_of(record) == () and not any(folder.exists() for folder in folders)
