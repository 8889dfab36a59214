"""A Ray node provider whose nodes are processes on this machine, each on a loopback address of its own.

Everything a cloud does for Ray is done here by process trees: make a node, run a command on it, end it. Ray's launcher
(`ray up`, `ray down`) and its autoscaler both drive it, the autoscaler from inside the head. Only `ray stop` is not
carried out: it would end every Ray on the machine.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray.autoscaler.command_runner import CommandRunnerInterface
from ray.autoscaler.node_launch_exception import NodeLaunchException
from ray.autoscaler.node_provider import NodeProvider
from ray.autoscaler.tags import NODE_KIND_HEAD, TAG_RAY_NODE_KIND, TAG_RAY_USER_NODE_TYPE

from mlray.errors import ClusterError
from mlray.home import Home, write_private
from mlray.launch.guard import TESTED
from mlray.launch.machine import Machine, end_nodes, live_nodes
from mlray.launch.record import Record, new_node
from mlray.launch.store import ClusterStore

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
        return node_id in self.non_terminated_nodes({})

    def is_terminated(self, node_id: str) -> bool:
        return not self.is_running(node_id)

    def node_tags(self, node_id: str) -> Tags:
        return Machine(self.store, node_id).node.tags

    def external_ip(self, node_id: str) -> str:
        return Machine(self.store, node_id).node.ip

    internal_ip = external_ip

    def set_node_tags(self, node_id: str, tags: Tags) -> None:
        self.store.change(lambda record: record.tagged(node_id, tags))

    def create_node(self, node_config: dict[str, Any], tags: Tags, count: int) -> None:
        head = tags[TAG_RAY_NODE_KIND] == NODE_KIND_HEAD
        if head and not self.non_terminated_nodes({}):
            self.store.begin(seals(self.provider_config, ray.__version__))
        for _ in range(count):
            self.store.prepare(self.store.change(lambda record: _with_node(record, head, tags)).nodes[-1])

    def create_node_with_resources_and_labels(
        self, node_config: dict[str, Any], tags: Tags, count: int, resources: dict[str, float], labels: Tags
    ) -> None:
        """Ray hands resources and labels to `ray start` itself, through the environment."""
        self.create_node(node_config, tags, count)

    def terminate_node(self, node_id: str) -> None:
        if self.store.read():  # a node that ended with its cluster has ended
            end_nodes(self.store, [node_id])

    def get_command_runner(self, log_prefix: str, node_id: str, *_: Any, **__: Any) -> LocalRunner:
        return LocalRunner(Machine(self.store, node_id))


class LocalRunner(CommandRunnerInterface):
    """Does on one node what Ray would do over SSH."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def run(self, cmd: str = "", with_output: bool = False, environment_variables: Mapping[str, Any] | None = None, **_: Any) -> str:
        if "ray start" in cmd:
            self.machine.start(cmd, environment_variables or {})
        return ""

    def run_rsync_up(self, source: str, target: str, options: dict[str, Any] | None = None) -> None:
        """The launcher's own copy of the cluster file is kept for `status` as well."""
        shutil.copy(source, self.machine.place(target))
        if target == BOOTSTRAP:
            write_private(self.machine.store.file, Path(source).read_text())

    def run_rsync_down(self, source: str, target: str, options: dict[str, Any] | None = None) -> None:
        shutil.copy(self.machine.place(source), target)

    def run_init(self, *, as_head: bool, file_mounts: dict[str, str], sync_run_yet: bool) -> None:
        return None

    def remote_shell_command_str(self) -> str:
        return "bash"


def seals(provider: Mapping[str, Any], version: str) -> bool:
    """Whether spilled objects are sealed: `seal_spill` of the file's provider, which is true unless it says false.

    Raises ClusterError for a version of Ray on which nobody has seen that they are.
    """
    wanted = provider.get("seal_spill", True)
    if not isinstance(wanted, bool):
        raise ClusterError(
            f"provider: seal_spill: {wanted!r} is neither true nor false", hint="leave it out: spilled objects are then sealed"
        )
    if wanted and version not in TESTED:
        hint = f"install ray=={TESTED[-1]}; or let it spill in clear with provider: seal_spill: false, where nothing secret is computed"
        raise ClusterError(f"Ray {version} is not known to seal what it spills", hint=hint)
    return wanted


def _with_node(record: Record, head: bool, tags: Tags) -> Record:
    if record.closing:
        raise NodeLaunchException("ClusterClosing", f"cluster {record.name} is being taken down", None)
    made = new_node(record, tags[TAG_RAY_USER_NODE_TYPE], head, tags, time.time())
    return replace(record, nodes=(*record.nodes, made))
