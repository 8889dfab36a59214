"""Status: a cluster as people see it, from its record, its file, and what Ray and the machine say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from mlray.launch.record import Node, Record
from mlray.market.spec import ZONE_LABEL, Cluster
from mlray.units import Money, Price


@dataclass(frozen=True, slots=True)
class Seen:
    """One node as Ray sees it. `since`: Unix time at which it joined."""

    ip: str
    node_type: str
    alive: bool
    since: float


class NodeState(StrEnum):
    """`starting`: made, not yet joined. `ready`: takes work. `lost`: its processes are there but Ray counts it dead, or they are gone."""

    STARTING = "starting"
    READY = "ready"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node. `since`: Unix time at which it was made. `price` is None when nobody knows it."""

    id: str
    type: str
    capacity: str
    zone: str
    state: NodeState
    ip: str
    pids: tuple[int, ...]
    price: Price | None
    since: float


@dataclass(frozen=True, slots=True)
class Status:
    """One cluster. `up` when its head answers; `seals` what it spills to disk."""

    name: str
    up: bool
    address: str
    dashboard: str
    since: float
    nodes: tuple[NodeStatus, ...]
    seals: bool = True

    @property
    def per_hour(self) -> Money:
        """What its nodes cost together for an hour; nodes without a price are not in it."""
        return sum((node.price.per_hour for node in self.nodes if node.price), Money(0))

    def ready(self, node_type: str) -> int:
        return sum(node.type == node_type and node.state is NodeState.READY for node in self.nodes)


def status_of(record: Record, cluster: Cluster, seen: tuple[Seen, ...] | None, pids: Mapping[str, tuple[int, ...]]) -> Status:
    """`pids` by node id. A node that has ended is left out."""
    nodes = tuple(_node(node, cluster, seen or (), pids.get(node.id, ())) for node in record.live())
    return Status(record.name, seen is not None, record.address, record.dashboard, record.made, nodes, record.seals)


def missing(status: Status, cluster: Cluster) -> dict[str, int]:
    """How many nodes of each type are not ready yet that the file keeps even when idle; the head counts as one."""
    wanted = {name: kind.min_workers for name, kind in cluster.available_node_types.items()} | {cluster.head_node_type: 1}
    return {name: count - status.ready(name) for name, count in wanted.items() if count > status.ready(name)}


def _node(node: Node, cluster: Cluster, seen: tuple[Seen, ...], pids: tuple[int, ...]) -> NodeStatus:
    kind = cluster.available_node_types[node.type]
    price = cluster.metadata.mlray.known.get(node.type)
    state = _state([other for other in seen if other.ip == node.ip and other.since >= node.made], bool(pids), node.keeper is not None)
    return NodeStatus(node.id, node.type, kind.capacity, kind.labels.get(ZONE_LABEL, ""), state, node.ip, pids, price, node.made)


def _state(seen: list[Seen], running: bool, begun: bool) -> NodeState:
    if begun and not running:
        return NodeState.LOST
    if not seen:
        return NodeState.STARTING
    return NodeState.READY if any(other.alive for other in seen) else NodeState.LOST
