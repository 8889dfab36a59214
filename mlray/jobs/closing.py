"""Closing: the last charges of a cluster that was taken down, from its record: every node is paid until it ended, not longer.

An edge: it reads the record, and what the cluster's governor remembered of the nodes, and writes the ledger.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from mlray.govern.nodes import LATE
from mlray.govern.remember import LOOKED, NODE, node_of, parts
from mlray.govern.store import GovernStore
from mlray.home import Home
from mlray.launch.on_ray import read_cluster
from mlray.launch.record import Node, Record, machine
from mlray.launch.store import ClusterStore
from mlray.ledger.entry import Cause, Charge
from mlray.ledger.nodes import EPOCH, NodeLife, charged_to, node_charges, relief
from mlray.ledger.store import LedgerStore
from mlray.market.offer import Offer, by_type, on_demand
from mlray.policy.match import CLUSTER, Governance
from mlray.policy.store import PolicyStore


def close(home: Home, record: Record, now: datetime) -> None:
    """Books what the nodes still owe. `record` is the last one, with the end of each node. Raises MlrayError."""
    governor, ledger = GovernStore(home.database, record.name), LedgerStore(home.database)
    lives = {life.node: life for life in _lives(home, record, governor)}
    ledger.settle(
        [life.item for life in lives.values()],
        lambda known: [
            charge
            for life in lives.values()
            for charge in node_charges(life, charged_to(known[life.item].until) if life.item in known else None, now)
        ],
    )
    work = [entry for entry in ledger.entries(since=now - LATE, nodes=list(lives)) if isinstance(entry, Charge)]
    ledger.settle([], lambda known: relief(work, lives))
    governor.remember({NODE + node: "" for node in lives})


def _lives(home: Home, record: Record, governor: GovernStore) -> list[NodeLife]:
    """Of every node in the record that has a price: as the governor saw it, or as the record has it where nobody looked."""
    texts = governor.remembered()
    looked = datetime.fromisoformat(texts[LOOKED]) if LOOKED in texts else EPOCH
    seen = {life.node: life for life in map(node_of, parts(texts, NODE))}
    cluster = read_cluster(ClusterStore(home, record.name).file, home)
    offers = by_type(cluster)
    governing = Governance(PolicyStore(home.database).in_force()).of(CLUSTER, record.name)
    cause = Cause(CLUSTER, record.name, next((policy.name for policy in governing), ""))
    known = ((node, seen.get(machine(record.name, node)) or _unseen(node, record, offers, cause)) for node in record.nodes)
    return [life if life.ended else replace(life, ended=_ended(node, life, looked)) for node, life in known if life is not None]


def _ended(node: Node, life: NodeLife, looked: datetime) -> datetime:
    """A node whose processes were gone before anybody ended them, as after a power cut, is paid until the last look at it."""
    return max(life.begun, looked if node.ended is None else datetime.fromtimestamp(node.ended, UTC))


def _unseen(node: Node, record: Record, offers: dict[str, Offer], cause: Cause) -> NodeLife | None:
    begun, offer = datetime.fromtimestamp(node.made, UTC), offers.get(node.type)
    if offer is None:
        return None
    listed = on_demand(offer, offers.values())
    prices, name = ((begun, offer.price),), machine(record.name, node)
    return NodeLife(name, node.type, str(offer.capacity), prices, begun, cause, cluster=record.name, head=node.head, on_demand=listed)
