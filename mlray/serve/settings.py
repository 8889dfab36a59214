"""How Serve works on every cluster of ours: Ray's environment variables, the same for nodes and drivers, with their reasons."""

from __future__ import annotations

SETTINGS = {
    # HAProxy in front of the replicas' own ports: Serve's Python proxy answered 185 to 332 requests/s where this answers thousands.
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    # User code runs in the replica's own event loop and logs are buffered: about 1.5 times the requests.
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # A prediction changes nothing, so one that was lost with its replica is asked again of another, unseen by the caller.
    "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response response-timeout",
    # Requests that fit into the buffer can be asked again; Ray's 16 KiB holds about forty rows of ten columns.
    "RAY_SERVE_HAPROXY_TUNE_BUFSIZE": "65536",
    # A host that is gone says nothing: noticed after two seconds rather than ten, and no request waits for it longer than this.
    "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "1s",
    "RAY_SERVE_HAPROXY_TIMEOUT_CONNECT_S": "1",
    "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": "10",
    # Ray runs workers at niceness 15: on a busy node replicas then answered at an eighth of their speed. Work that nobody
    # waits for lowers its own priority instead.
    "RAY_worker_niceness": "0",
    # A replica that is to stop leaves HAProxy's list within a second; Ray would keep it, and its bill, for 30.
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2",
}
