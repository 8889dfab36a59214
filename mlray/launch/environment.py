"""What the processes of a node, and a driver that talks to them, find in their environment. No secret is in it: only paths."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mlray.launch.record import REPLICA_PORTS, Node, Record, machine
from mlray.serve.settings import SETTINGS

# A node that is killed is noticed after 2 to 4 s; with Ray's defaults it took 14 to 15 s. Its port refuses at once, so the
# timeout is for nodes that are only slow: at 1 s, a busy laptop would lose healthy ones.
HEALTH = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "3",
}
AUTOSCALER = {"AUTOSCALER_UPDATE_INTERVAL_S": "1"}
SPILLERS = {"RAY_max_io_workers": "2"}  # of each kind and node; Ray's 4 take 90 MB each
OURS = ("RAY_", "MLRAY_NODE", "AUTOSCALER_", "DASHBOARD_")
SHIM = Path(__file__).parent / "shim"


def driver_environment(record: Record, token: Path) -> dict[str, str]:
    """What a driver or Ray's command line needs to be let in, and to agree with the cluster on how Serve works.

    RAY_ADDRESS is left out: `ray start --head` refuses to start where it is set.
    """
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_API_SERVER_ADDRESS": record.dashboard,
        "RAY_USAGE_STATS_ENABLED": "0",
        **SETTINGS,
    }


def node_environment(
    record: Record, node: Node, folder: Path, home: Mapping[str, str], given: Mapping[str, str], code: tuple[str, ...], programs: str
) -> dict[str, str]:
    """What every process of a node inherits.

    `folder` is the cluster's private one; `given` is the environment of whoever starts the node, kept but for Ray's own
    settings; `code` goes first on PYTHONPATH, `programs` first on PATH.
    """
    kept = {key: value for key, value in given.items() if not key.startswith(OURS)}
    paths = [*code, *filter(None, kept.get("PYTHONPATH", "").split(":"))]
    return {
        **kept,
        **home,
        **driver_environment(record, folder / "token"),
        **HEALTH,
        **AUTOSCALER,
        **SPILLERS,
        **_serve(record, node, folder),
        "RAY_object_spilling_config": spill_config(record, folder),
        "MLRAY_NODE_MEMORY": record.memory,
        "PYTHONPATH": ":".join(dict.fromkeys([str(SHIM), *paths])),
        "PATH": f"{programs}:{kept.get('PATH', '/usr/bin:/bin')}",
        "AUTOSCALER_METRIC_PORT": str(record.ports.autoscaler_metrics),
        "DASHBOARD_METRIC_PORT": str(record.ports.dashboard_metrics),
        "MLRAY_NODE": node.id,
        "MLRAY_NODE_NAME": machine(record.name, node),
        "MLRAY_NODE_IP": node.ip,
        "MLRAY_NODE_DIR": node.folder,
        "TMPDIR": node.folder,  # what processes that are killed leave there goes with the node
        "MLRAY_GCS_PORT": str(record.ports.gcs),
        "MLRAY_DASHBOARD_PORT": str(record.ports.dashboard),
        "MLRAY_CLIENT_PORT": str(record.ports.client),
    }


def spill_config(record: Record, folder: Path) -> str:
    """Ray's setting for spilled objects, as JSON. Ray's own class for `smart_open` refuses these parameters: see spill.py.

    Without the seal it is Ray's own way, in clear.
    """
    if not record.seals:
        return json.dumps({"type": "filesystem", "params": {"directory_path": record.spill}})
    return json.dumps({"type": "smart_open", "params": {"sealed_in": record.spill, "key_file": str(folder / "spill.key")}})


def _serve(record: Record, node: Node, folder: Path) -> dict[str, str]:
    """HAProxy's files are Ray's choice in /tmp otherwise, its control socket open to every user of the machine.

    Ray puts 57 characters before each name, and HAProxy takes sockets of 97 at most: so they are short.
    """
    place = node.folder
    low = 30_000 + (record.ports.http % 20) * REPLICA_PORTS
    return {
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(folder / "haproxy"),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": f"{place}/haproxy.cfg",
        "RAY_SERVE_HAPROXY_SOCKET_PATH": f"{place}/a",
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": f"{place}/m",
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": place,
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": f"{place}/state",
        "RAY_SERVE_HAPROXY_STATS_PORT": str(record.ports.serve_stats),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(record.ports.serve_metrics),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(record.ports.serve_fallback),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(record.ports.serve_grpc_fallback),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(low),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(low + REPLICA_PORTS),
    }
