"""LiveCluster: what runs on the cluster this process is part of, as the governor sees it, and what the governor does to it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import ray
import requests
from ray._raylet import GcsClient  # type: ignore[attr-defined]
from ray.autoscaler.v2.sdk import get_cluster_status
from ray.dashboard.modules.serve.sdk import ServeSubmissionClient
from ray.exceptions import RayError

from mlray.clock import Clock
from mlray.errors import ClusterError
from mlray.govern.actions import Action, Drain, PauseTrial, ResumeTrial, StopCluster, StopRun
from mlray.govern.machines import Bought, Machines
from mlray.govern.register import Register
from mlray.govern.snapshot import NodeSeen, Replica, Running, Watched
from mlray.govern.standing import Standing, nodes
from mlray.home import Home
from mlray.market.offer import Offer, by_type, offers
from mlray.market.prices.store import read_cluster
from mlray.market.spec import Cluster

Details = Mapping[str, Any]
PREEMPTION = 2  # autoscaler.proto: what ends by it counts as no failure of its own, neither for Tune nor for actors
# Work that stands on a drained node has this long to end or to be replaced; Ray leaves it to us to end the node then.
DRAIN = timedelta(seconds=30)
# A cluster that takes itself down is gone after a few seconds.
DOWN = timedelta(minutes=1)
STATES = {"STARTING": "starting", "UPDATING": "starting", "STOPPING": "draining", "PENDING_MIGRATION": "draining"}


class LiveCluster:
    """Its file is read anew each time, so that a price may change.

    Replicas come from Serve's REST API, runs from the register, nodes from `machines` and, once they joined, from Ray.
    """

    def __init__(self, home: Home, name: str, dashboard: str, machines: Machines, clock: Clock, drain: timedelta = DRAIN) -> None:
        self._home, self._name, self._dashboard, self._machines, self._clock, self._drain_for = (
            home,
            name,
            dashboard,
            machines,
            clock,
            drain,
        )
        self._file, self._register = home.cluster(name) / "cluster.yaml", Register(home.database, name)
        self._client: ServeSubmissionClient | None = None
        self._standing = Standing()
        self._drained: dict[str, datetime] = {}
        self._goes_down: datetime | None = None

    def offers(self) -> tuple[Offer, ...]:
        return offers(self._read())

    def replicas(self, watched: tuple[Watched, ...], offers: tuple[Offer, ...]) -> dict[str, tuple[Replica, ...]]:
        """Every replica that holds CPUs of a node, those that start or stop included. Raises ClusterError."""
        details = self._details() if watched else {"applications": {}}
        bought = {machine.ip: machine for machine in self._machines.bought()}
        prices = by_type(self._read())
        found = {w.deployment: tuple(_replicas(details, w, bought, prices)) for w in watched}
        serving = {name: frozenset(r.node for r in running) for name, running in found.items() if running}
        self._standing = replace(self._standing, serving=serving)
        return found

    def runs(self) -> tuple[Running, ...]:
        return self._register.runs(self._clock.now())

    def nodes(self) -> tuple[NodeSeen, ...]:
        """Every node that is paid for, the head included. Raises ClusterError."""
        now, cluster = self._clock.now(), self._read()
        bought, used = self._machines.bought(), _used_cpus()
        self._standing = replace(self._standing, working=self._register.places(now)).looked(bought, used, cluster.head_node_type, now)
        self._end_drained(now)
        drained = frozenset(self._drained)
        return nodes(self._name, cluster.head_node_type, bought, used, self._standing, drained, by_type(cluster))

    def apply(self, action: Action) -> None:
        """Does it, or has done it; what the governor itself answers for, such as room to scale, is nothing to do here."""
        match action:
            case PauseTrial(run=run, trial=trial, reason=reason):
                self._register.order(run, trial, reason)
            case ResumeTrial(run=run, trial=trial):
                self._register.lift(run, trial)
            case StopRun(run=run, reason=reason):
                self._register.order(run, "", reason)
            case Drain(node=node, reason=reason):
                self._drain(node, reason)
            case StopCluster():
                self._down()

    def _down(self) -> None:
        """Once, and again only where it came to nothing."""
        now = self._clock.now()
        if self._goes_down is None or now - self._goes_down >= DOWN:
            self._machines.down()
            self._goes_down = now

    def _drain(self, node: str, reason: str) -> None:
        """Nothing new is placed there, replicas are started elsewhere first, and trials go on elsewhere when it ends."""
        ip = next((machine.ip for machine in self._machines.bought() if machine.name == node), "")
        ids = [held["NodeID"] for held in ray.nodes() if held["Alive"] and held["NodeManagerAddress"] == ip]
        if not ids or node in self._drained:
            return
        deadline_ms = int((time.time() + self._drain_for.total_seconds()) * 1000)
        accepted, why = GcsClient(address=_gcs()).drain_node(ids[0], PREEMPTION, reason, deadline_ms)
        if not accepted:
            raise ClusterError(f"node {node} cannot be drained: {why}")
        self._drained[node] = self._clock.now()

    def _end_drained(self, now: datetime) -> None:
        for node in [node for node, since in self._drained.items() if now - since >= self._drain_for]:
            self._machines.end(node)
            del self._drained[node]

    def _read(self) -> Cluster:
        return read_cluster(self._home, self._file)

    def _details(self) -> Details:
        try:
            self._client = self._client or ServeSubmissionClient(self._dashboard)
            details: Details = self._client.get_serve_details()
            return details
        except (requests.RequestException, ConnectionError, RuntimeError, ValueError) as error:
            raise ClusterError(f"Ray Serve's REST API at {self._dashboard} does not answer: {error}") from error


def _used_cpus() -> dict[str, float]:
    """CPUs in use of each node that has joined, by its address."""
    try:
        status = get_cluster_status(_gcs())
    except (RayError, RuntimeError, ValueError) as error:
        raise ClusterError(f"Ray's head does not say which nodes there are: {error}") from error
    return {node.ip_address: node.used_resources().get("CPU", 0.0) for node in (*status.active_nodes, *status.idle_nodes)}


def _gcs() -> str:
    return str(ray.get_runtime_context().gcs_address)


def _replicas(details: Details, watched: Watched, bought: Mapping[str, Bought], prices: Mapping[str, Offer]) -> Iterator[Replica]:
    """Of every Serve deployment in the application of this name: the application is what mlray calls a deployment."""
    application = details["applications"].get(watched.deployment, {})
    for deployment in application.get("deployments", {}).values():
        cpus = _cpus(deployment, watched)
        for replica in deployment["replicas"]:
            if replica["node_id"] and replica["state"] != "STOPPED":
                started = datetime.fromtimestamp(replica["start_time_s"], UTC)
                machine = bought.get(replica["node_ip"])
                offer = prices.get(machine.node_type) if machine else None
                state = STATES.get(replica["state"], "running")
                yield Replica(replica["replica_id"], offer, cpus, started, machine.name if machine else "", state)


def _cpus(deployment: Details, watched: Watched) -> float:
    options = deployment["deployment_config"].get("ray_actor_options") or {}
    return float(options.get("num_cpus", watched.cpus))
