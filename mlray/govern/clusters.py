"""Clusters and nodes: which cluster is taken down by itself, and which node's work moves to a cheaper offer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from mlray.govern.actions import Drain, StopCluster
from mlray.govern.means import Means
from mlray.govern.snapshot import NodeSeen, Running, Snapshot
from mlray.market.offer import Offer, cheapest
from mlray.market.spec import Capacity
from mlray.policy.allowance import Allowance
from mlray.policy.spec import Policy, WhenShort
from mlray.units import Duration

# Moving costs what was computed since the last checkpoint, so a new place must be this much cheaper.
CHEAPER = 0.8


def drains(snapshot: Snapshot, known: Mapping[str, Means]) -> tuple[Drain, ...]:
    """For each policy that is short, its dearest node whose work all tolerates spot and could stand on a cheaper offer.

    One node of a policy at a look: work that all moves at once all stands still at once.
    """
    if not any(found.short for found in known.values()):
        return ()
    runs = {run.run: run for run in snapshot.runs if any(name in known and known[name].short for name in run.policies)}
    movable = [
        (node, target) for node in snapshot.nodes if _movable(node, runs, snapshot.prepaid) and (target := _target(node, snapshot.offers))
    ]
    chosen: dict[str, Drain] = {}
    for node, target in sorted(movable, key=lambda pair: _dearest_first(pair[0])):
        for name in sorted({name for tenant in node.tenants for name in runs[tenant].policies}):
            if name in known and known[name].short and name not in chosen:
                chosen[name] = Drain(node.id, name, _moves(node, target, known[name]))
                break
    return tuple(chosen.values())


def stops(snapshot: Snapshot, known: Mapping[str, Means], allowances: Mapping[str, Allowance]) -> tuple[StopCluster, ...]:
    """Clusters past their time to live, idle too long, or without money under a policy that keeps no floor."""
    clusters: defaultdict[str, list[NodeSeen]] = defaultdict(list)
    for node in snapshot.nodes if snapshot.cluster_policies else ():
        if node.cluster in snapshot.cluster_policies:
            clusters[node.cluster].append(node)
    open_to_work = any(room.ceiling > 0 for room in allowances.values())
    found = (_stop(snapshot, name, clusters[name], known, open_to_work) for name in sorted(clusters))
    return tuple(stop for stop in found if stop)


def _stop(snapshot: Snapshot, cluster: str, nodes: list[NodeSeen], known: Mapping[str, Means], open_to_work: bool) -> StopCluster | None:
    """The first policy, by name, that asks for it. A deployment with room to scale counts as work, even with no replica."""
    begun, idle = min(n.begun for n in nodes), None if open_to_work else _idle_since(nodes)
    for name in sorted(snapshot.cluster_policies[cluster]):
        policy = snapshot.policies.get(name)
        reason = policy and _reason(policy, known.get(name), snapshot.now - begun, idle, snapshot.now)
        if reason:
            return StopCluster(cluster, name, f"cluster {cluster} goes down: {reason}")
    return None


def _reason(policy: Policy, found: Means | None, age: timedelta, idle: datetime | None, now: datetime) -> str:
    rules, still = policy.clusters, None if idle is None else now - idle
    if rules.time_to_live is not None and age.total_seconds() >= rules.time_to_live.seconds:
        return f"it ran {_long(age)}, and policy {policy.name} gives it {rules.time_to_live}"
    if still is None:
        return ""
    if rules.idle_stop is not None and still.total_seconds() >= rules.idle_stop.seconds:
        return f"no work ran on it for {_long(still)}, and policy {policy.name} waits {rules.idle_stop}"
    if found is not None and found.acting and policy.budget.when_short.serve == WhenShort.STOP:
        return f"{found.sentence}, no work is left on it, and no floor is kept"
    return ""


def _idle_since(nodes: Iterable[NodeSeen]) -> datetime | None:
    since = [node.idle_since for node in nodes]
    known = [at for at in since if at is not None]
    return max(known) if len(known) == len(since) else None


def _movable(node: NodeSeen, runs: Mapping[str, Running], prepaid: frozenset[str]) -> bool:
    """Whether all that stands there belongs to these runs and may be on spot, and the node costs something."""
    if not node.tenants or node.head or node.state != "running" or (node.offer and node.offer.node_type in prepaid):
        return False
    return all(tenant in runs and runs[tenant].market != Capacity.ON_DEMAND for tenant in node.tenants)


def _target(node: NodeSeen, offers: tuple[Offer, ...]) -> Offer | None:
    """Where the node's work could go on for less."""
    target = cheapest(offers, "any", node.busy_cpus)
    if target is None or node.offer is None:
        return None
    return target if target.price.per_hour.micros <= node.offer.price.per_hour.micros * CHEAPER else None


def _dearest_first(node: NodeSeen) -> tuple[int, str]:
    return (-node.offer.price.per_hour.micros if node.offer else 0, node.id)


def _moves(node: NodeSeen, target: Offer, found: Means) -> str:
    price = node.offer.price if node.offer else "an unknown price"
    return f"{found.sentence}: work on node {node.id} at {price} can go on at {target.price}"


def _long(span: timedelta) -> str:
    return str(Duration(float(int(span.total_seconds()))))
