"""A Ray node provider whose nodes are processes on this machine, each on a loopback address of its own.

Everything a cloud does for Ray is done here by process trees: make a node, run a command on it, end it. Ray's launcher
(`ray up`, `ray down`) and its autoscaler both drive it, the autoscaler from inside the head. Only `ray stop` is not
carried out: it would end every Ray on the machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray.autoscaler.command_runner import CommandRunnerInterface
from ray.autoscaler.node_launch_exception import NodeLaunchException
from ray.autoscaler.node_provider import NodeProvider
from ray.autoscaler.tags import NODE_KIND_HEAD, TAG_RAY_NODE_KIND, TAG_RAY_USER_NODE_TYPE

import mlray
from mlray.errors import ClusterError
from mlray.home import Home, write_private
from mlray.launch import keeper as keeper_script
from mlray.launch import processes
from mlray.launch.environment import node_environment, spill_config
from mlray.launch.guard import TESTED, unguarded
from mlray.launch.record import Node, Record, new_node
from mlray.launch.store import ClusterStore

START_S = 60.0
BOOTSTRAP = "~/ray_bootstrap_config.yaml"
Tags = dict[str, str]


class LocalProvider(NodeProvider):
    """Ray's view of the nodes in a cluster's record. A node whose processes are all gone has ended, whoever ended it."""

    def __init__(self, provider_config: dict[str, Any], cluster_name: str) -> None:
        super().__init__(provider_config, cluster_name)
        self.store = ClusterStore(Home.locate(), cluster_name)

    def non_terminated_nodes(self, tag_filters: Tags) -> list[str]:
        record = self.store.read()
        live = live_nodes(record) if record else ()
        return [node.id for node in live if tag_filters.items() <= node.tags.items()]

    def is_running(self, node_id: str) -> bool:
        return not self.is_terminated(node_id)

    def is_terminated(self, node_id: str) -> bool:
        record = self.store.read()
        return record is None or node_id not in [node.id for node in live_nodes(record)]

    def node_tags(self, node_id: str) -> Tags:
        return self._node(node_id).tags

    def external_ip(self, node_id: str) -> str:
        return self._node(node_id).ip

    internal_ip = external_ip

    def set_node_tags(self, node_id: str, tags: Tags) -> None:
        self.store.change(lambda record: record.changed(node_id, tags={**self._node(node_id).tags, **tags}))

    def create_node(self, node_config: dict[str, Any], tags: Tags, count: int) -> None:
        head = tags[TAG_RAY_NODE_KIND] == NODE_KIND_HEAD
        record = self.store.read()
        if head and not (record and live_nodes(record)):
            check_ray()
            self.store.begin()
        for _ in range(count):
            self.store.prepare(self.store.change(lambda record: _with_node(record, head, tags)).nodes[-1])

    def create_node_with_resources_and_labels(
        self, node_config: dict[str, Any], tags: Tags, count: int, resources: dict[str, float], labels: Tags
    ) -> None:
        """Ray hands resources and labels to `ray start` itself, through the environment."""
        self.create_node(node_config, tags, count)

    def terminate_node(self, node_id: str) -> None:
        if self.store.read():  # ended twice is ended once
            end_nodes(self.store, [node_id])

    def get_command_runner(self, log_prefix: str, node_id: str, *_: Any, **__: Any) -> LocalRunner:
        return LocalRunner(self.store, node_id)

    def _node(self, node_id: str) -> Node:
        node = self.store.known().node(node_id)
        if node is None:
            raise ClusterError(f"cluster {self.cluster_name} has no node {node_id}")
        return node


class LocalRunner(CommandRunnerInterface):
    """Runs on one node what Ray would run over SSH."""

    def __init__(self, store: ClusterStore, node_id: str) -> None:
        self.store, self.node_id = store, node_id

    def run(self, cmd: str = "", with_output: bool = False, environment_variables: Mapping[str, Any] | None = None, **_: Any) -> str:
        if "ray start" in cmd:
            start(self.store, self.node_id, cmd, environment_variables or {})
        return ""

    def run_rsync_up(self, source: str, target: str, options: dict[str, Any] | None = None) -> None:
        """Files in the node's home are files in its folder. The launcher's own copy of the cluster file is kept for `status`."""
        shutil.copy(source, self._place(target))
        if target == BOOTSTRAP:
            write_private(self.store.file, Path(source).read_text())

    def run_rsync_down(self, source: str, target: str, options: dict[str, Any] | None = None) -> None:
        shutil.copy(self._place(source), target)

    def run_init(self, *, as_head: bool, file_mounts: dict[str, str], sync_run_yet: bool) -> None:
        return None

    def remote_shell_command_str(self) -> str:
        return "bash"

    def _place(self, path: str) -> Path:
        node = self.store.known().node(self.node_id)
        assert node is not None
        return Path(node.folder) / path.removeprefix("~/")


def start(store: ClusterStore, node_id: str, command: str, given: Mapping[str, Any]) -> None:
    """Runs a start command under a keeper. Returns when it has ended well; its processes stay. Raises ClusterError."""
    record = store.known()
    node = record.node(node_id)
    assert node is not None
    # Ray passes resources and labels as dicts, to be read as JSON.
    extra = {key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}
    env = {**environment(store, record, node), **extra}
    reading, writing = os.pipe()
    with open(Path(node.folder) / "start.log", "ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", keeper_script.__file__, str(writing), command],
            env=env,
            cwd=node.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[writing],
        )
    os.close(writing)
    store.change(lambda record: record.changed(node_id, keeper=processes.keeper(keeper.pid)))
    with os.fdopen(reading) as report:
        code = report.read()
    if code != "0":
        raise ClusterError(f"node {node_id} did not start (exit code {code or 'none'})", hint=tail(node))
    commands = [processes.command(pid) for pid in members(store.known(), store.known().node(node_id) or node)]
    if why := unguarded(commands, node.head, spill_config(record, store.folder), record.memory):
        end_nodes(store, [node_id], grace_s=0)
        raise ClusterError(f"node {node_id} was stopped again: {why}", hint="objects would be written to disk in clear")


def check_ray() -> None:
    """Raises ClusterError for a Ray on which nobody has seen that spilled objects are sealed."""
    if ray.__version__ not in TESTED:
        hint = f"install ray=={TESTED[-1]}; tests/launch/test_spill.py says whether another one can be trusted"
        raise ClusterError(f"Ray {ray.__version__} is not known to seal what it spills", hint=hint)


def environment(store: ClusterStore, record: Record, node: Node) -> dict[str, str]:
    """What the node's processes inherit. mlray itself goes on PYTHONPATH unless it is installed where Python looks anyway."""
    code = str(Path(mlray.__file__).parents[1])
    installed = code in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    where = () if installed else (code,)
    return node_environment(record, node, store.folder, store.home.environment(), os.environ, where, str(Path(sys.executable).parent))


def members(record: Record, node: Node) -> tuple[int, ...]:
    """The pids of a node, its keeper left out."""
    others = [other.keeper for other in record.nodes if other.keeper and other.id != node.id]
    return processes.tree(node.keeper, others) if node.keeper else ()


def live_nodes(record: Record) -> tuple[Node, ...]:
    """Nodes that run, and those so new that nothing has been started on them yet."""
    return tuple(node for node in record.live() if members(record, node) or (not node.keeper and time.time() - node.made < START_S))


def end_nodes(store: ClusterStore, ids: Iterable[str], grace_s: float = processes.GRACE_S) -> None:
    """Ends every process of these nodes; without grace at once, as when a machine loses power. Raises ClusterError if some stay."""
    wanted = set(ids)

    def pids() -> tuple[int, ...]:
        record = store.known()
        return tuple(pid for node in record.nodes if node.id in wanted for pid in members(record, node))

    if not processes.end(pids, grace_s):
        raise ClusterError(f"{', '.join(sorted(wanted))} would not end", hint=f"look at the processes {pids()}")
    now = time.time()
    store.change(lambda record: replace(record, nodes=tuple(replace(n, ended=now) if n.id in wanted else n for n in record.nodes)))


def tail(node: Node, lines: int = 6) -> str:
    """The last lines of what the node's start command said."""
    try:
        return "\n  ".join((Path(node.folder) / "start.log").read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def _with_node(record: Record, head: bool, tags: Tags) -> Record:
    if record.closing:
        raise NodeLaunchException("ClusterClosing", f"cluster {record.name} is being taken down", None)
    made = new_node(record, tags[TAG_RAY_USER_NODE_TYPE], head, tags, time.time())
    return replace(record, nodes=(*record.nodes, made))
