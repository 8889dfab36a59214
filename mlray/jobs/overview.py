"""Overview: a cluster with what it serves: each deployment's replicas, the room its policy leaves, and why.

An edge: it asks the cluster's head and the governor's journal. No driver is connected for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlray.govern.store import GovernStore
from mlray.home import Home
from mlray.jobs.endpoints import Endpoint, endpoints
from mlray.launch.dashboard import seen_replicas
from mlray.launch.on_ray import status
from mlray.launch.status import Status
from mlray.launch.store import ClusterStore


@dataclass(frozen=True, slots=True)
class Offered:
    """One deployment. It has `ready` of `wanted` replicas and may have `floor` to `ceiling`; None: the governor has not said."""

    deployment: str
    model: str
    endpoint: str
    ready: int
    wanted: int
    floor: int | None
    ceiling: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Overview:
    """One cluster now."""

    cluster: Status
    deployments: tuple[Offered, ...]


def overview(home: Home, name: str) -> Overview:
    """Raises ClusterError when there is no such cluster, or its head refuses this home's token."""
    found = status(home, name)
    known = [endpoint for endpoint in endpoints(home) if endpoint.cluster == name]
    replicas = seen_replicas(found.dashboard, ClusterStore(home, name).token.read_text()) if known and found.up else {}
    store = GovernStore(home.database, name) if known else None
    return Overview(found, tuple(_offered(one, store, replicas.get(one.deployment, (0, 0))) for one in known))


def _offered(endpoint: Endpoint, store: GovernStore | None, replicas: tuple[int, int]) -> Offered:
    room = store.given(endpoint.deployment) if store else None
    floor, ceiling, reason = (room.floor, room.ceiling, room.reason) if room else (None, None, "")
    return Offered(endpoint.deployment, endpoint.model, endpoint.url, *replicas, floor, ceiling, reason)
