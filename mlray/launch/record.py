"""Record: what is known of one local cluster: its addresses, its nodes, and which processes they are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

LOWEST_PORT, PORTS = 20_000, 10_000  # below 32768, where the kernel picks ports for outgoing connections
REPLICA_PORTS = 100


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of the head that have to be known before it starts; every other port is the kernel's choice."""

    gcs: int
    dashboard: int
    client: int
    autoscaler_metrics: int
    dashboard_metrics: int
    http: int
    serve_stats: int
    serve_metrics: int
    serve_fallback: int
    serve_grpc_fallback: int


@dataclass(frozen=True, slots=True)
class Keeper:
    """The process from which all others of a node descend. The start time tells it from a later one with its number."""

    pid: int
    started: int


@dataclass(frozen=True, slots=True)
class Node:
    """One machine of the cluster, played by a tree of processes on an address of its own.

    `made` and `ended` are Unix times, `failure` is why it did not start the last time.
    """

    id: str
    type: str
    head: bool
    ip: str
    folder: str
    made: float
    tags: dict[str, str]
    keeper: Keeper | None = None
    failure: str = ""
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One cluster. `closing` forbids new nodes while the old ones are taken down. `made`: Unix time.

    `seals` says whether objects that memory cannot hold reach the disk encrypted.
    """

    name: str
    subnet: str
    scratch: str
    ports: Ports
    made: float
    nodes: tuple[Node, ...] = ()
    closing: bool = False
    seals: bool = True

    @property
    def address(self) -> str:
        return f"{self.subnet}.1:{self.ports.gcs}"

    @property
    def spill(self) -> str:
        """Where objects go that memory cannot hold; sealed, unless the cluster's file says otherwise."""
        return f"{self.scratch}/spill"

    @property
    def memory(self) -> str:
        """Where they go meanwhile, in clear: a folder that is memory itself."""
        return str(memory_of(Path(self.scratch)))

    @property
    def dashboard(self) -> str:
        return f"http://127.0.0.1:{self.ports.dashboard}"

    def node(self, id: str) -> Node | None:
        return next((node for node in self.nodes if node.id == id), None)

    def live(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.ended is None)

    def changed(self, id: str, **fields: Any) -> Record:
        """The same record with fields of one node changed."""
        return replace(self, nodes=tuple(replace(node, **fields) if node.id == id else node for node in self.nodes))

    def tagged(self, id: str, tags: dict[str, str]) -> Record:
        """The same record with tags of one node added or replaced."""
        return replace(self, nodes=tuple(replace(n, tags={**n.tags, **tags}) if n.id == id else n for n in self.nodes))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Record:
        nodes = tuple(Node(**{**node, "keeper": node["keeper"] and Keeper(**node["keeper"])}) for node in value["nodes"])
        return cls(**{**value, "ports": Ports(**value["ports"]), "nodes": nodes})


def machine(cluster: str, node: Node) -> str:
    """What the ledger calls a node: its name is used again by the next cluster, and this never is."""
    return f"{cluster}/{node.id}/{node.made:.0f}"


def memory_of(scratch: Path) -> Path:
    return Path("/dev/shm") / f"{scratch.parent.name}-{scratch.name}"


def new_record(name: str, place: str, scratch: Path, now: float, is_free: Callable[[int], bool], seals: bool = True) -> Record:
    """A record without nodes. `place` tells clusters of the same name apart; the same place gets the same addresses again."""
    digest = hashlib.sha256(f"{place}\0{name}".encode()).digest()
    subnet = f"127.{1 + digest[0] % 250}.{digest[1]}"
    free = _free_ports(int.from_bytes(digest[2:6], "big"), is_free)
    return Record(name, subnet, str(scratch), Ports(*(next(free) for _ in fields(Ports))), now, seals=seals)


def new_node(record: Record, type: str, head: bool, tags: dict[str, str], now: float) -> Node:
    """The next node. Names are never used twice in a cluster's life; addresses are, once their node has ended."""
    number = 1 + sum(node.type == type for node in record.nodes)
    id = "head" if head and number == 1 else f"{type}-{number}"
    taken = {node.ip for node in record.live()}
    ip = next(ip for last in range(1 if head else 2, 255) if (ip := f"{record.subnet}.{last}") not in taken)
    return Node(id, type, head, ip, str(Path(record.scratch) / f"n{len(record.nodes)}"), now, tags)


def _free_ports(seed: int, is_free: Callable[[int], bool]) -> Iterator[int]:
    """Ports nobody listens on, always tried in the same order for the same seed."""
    tried = (LOWEST_PORT + (seed + step) % PORTS for step in range(PORTS))
    return (port for port in tried if is_free(port))
