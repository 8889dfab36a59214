"""LiveCluster: the replicas that Ray Serve runs and the nodes they stand on, as the governor sees them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ray
import requests
from ray.dashboard.modules.serve.sdk import ServeSubmissionClient

from mlray import files
from mlray.errors import ClusterError
from mlray.govern.snapshot import Replica, Watched
from mlray.market.offer import Offer, offers
from mlray.market.spec import NODE_TYPE_LABEL, Cluster

Details = Mapping[str, Any]


class LiveCluster:
    """The cluster this process is part of. `file` is its cluster file, read anew each time so that a price may change.

    Replicas come from Serve's REST API, which names each one's node; nodes and their labels from Ray itself.
    """

    def __init__(self, file: Path, dashboard: str) -> None:
        self._file, self._dashboard = file, dashboard
        self._client: ServeSubmissionClient | None = None

    def offers(self) -> tuple[Offer, ...]:
        return offers(files.load(self._file, Cluster))

    def replicas(self, watched: tuple[Watched, ...], offers: tuple[Offer, ...]) -> dict[str, tuple[Replica, ...]]:
        """Every replica that holds CPUs of a node, those that start or stop included. Raises ClusterError."""
        details = self._details()
        types = {node["NodeID"]: node["Labels"].get(NODE_TYPE_LABEL, "") for node in ray.nodes()}
        by_type = {offer.node_type: offer for offer in offers}
        return {w.deployment: tuple(_replicas(details, w, types, by_type)) for w in watched}

    def _details(self) -> Details:
        try:
            self._client = self._client or ServeSubmissionClient(self._dashboard)
            details: Details = self._client.get_serve_details()
            return details
        except (requests.RequestException, ConnectionError, RuntimeError, ValueError) as error:
            raise ClusterError(f"Ray Serve's REST API at {self._dashboard} does not answer: {error}") from error


def _replicas(details: Details, watched: Watched, types: Mapping[str, str], by_type: Mapping[str, Offer]) -> Iterator[Replica]:
    """Of every Serve deployment in the application of this name: the application is what mlray calls a deployment."""
    application = details["applications"].get(watched.deployment, {})
    for deployment in application.get("deployments", {}).values():
        cpus = _cpus(deployment, watched)
        for replica in deployment["replicas"]:
            if replica["node_id"] and replica["state"] != "STOPPED":
                started = datetime.fromtimestamp(replica["start_time_s"], UTC)
                yield Replica(replica["replica_id"], by_type.get(types.get(replica["node_id"], "")), cpus, started)


def _cpus(deployment: Details, watched: Watched) -> float:
    options = deployment["deployment_config"].get("ray_actor_options") or {}
    return float(options.get("num_cpus", watched.cpus))
