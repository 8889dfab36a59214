"""Dashboard: what a cluster's head answers over HTTP. It needs neither Ray in this process nor a driver in the cluster."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterable
from typing import Any

from mlray.errors import ClusterError
from mlray.launch.status import Seen

NODES = "/api/v0/nodes?detail=1&limit=1000"
SERVE = "/api/serve/applications/"
JOBS = "/api/jobs/"


def seen_nodes(url: str, token: str, wait_s: float = 5.0) -> tuple[Seen, ...] | None:
    """Every node the head knows, dead ones too; None while no head answers. Raises ClusterError when it refuses the token."""
    try:
        answer = _get(url + NODES, token, wait_s)
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            hint = "the cluster was started anew by someone else, or the token file was changed: run mlray down, then mlray up"
            raise ClusterError(f"the cluster at {url} refuses this home's token (HTTP {error.code})", hint=hint) from error
        return None
    except (OSError, ValueError):
        return None
    nodes = answer["data"]["result"]["result"]
    return tuple(_seen(node) for node in nodes)


def seen_replicas(url: str, token: str, wait_s: float = 5.0) -> dict[str, tuple[int, int]]:
    """Replicas of each Serve application: ready, and wanted. Empty while Serve does not run or nobody answers."""
    try:
        applications = _get(url + SERVE, token, wait_s)["applications"]
    except (OSError, ValueError):
        return {}
    return {name: _replicas(found["deployments"].values()) for name, found in applications.items()}


def begin(url: str, token: str, entrypoint: str, wait_s: float = 10.0) -> None:
    """Has the head run a command as a Ray job, in the environment of its node. Raises ClusterError when it does not take it."""
    try:
        _ask(url + JOBS, token, wait_s, json.dumps({"entrypoint": entrypoint}).encode())
    except (OSError, ValueError) as error:
        raise ClusterError(f"the head at {url} does not take a job: {error}") from error


def _replicas(deployments: Iterable[dict[str, Any]]) -> tuple[int, int]:
    known = tuple(deployments)
    ready = sum(replica["state"] == "RUNNING" for one in known for replica in one["replicas"])
    return ready, sum(one["target_num_replicas"] for one in known)


def _seen(node: dict[str, Any]) -> Seen:
    labels = node["labels"] or {}
    return Seen(node["node_ip"], labels.get("mlray.io/node-type", ""), node["state"] == "ALIVE", node["start_time_ms"] / 1000)


def _get(url: str, token: str, wait_s: float) -> Any:
    return _ask(url, token, wait_s, None)


def _ask(url: str, token: str, wait_s: float, body: bytes | None) -> Any:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, body, headers)
    # The proxies of the environment are for the world outside; the head is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=wait_s) as reply:
        return json.load(reply)
