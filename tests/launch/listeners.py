"""Every TCP port a set of processes listens on, and what it answers to somebody who has no token."""

from __future__ import annotations

import http.client
import ipaddress
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import grpc  # type: ignore[import-untyped]

from mlray.launch import processes

LISTENS = "0A"
WRONG = {"authorization": "Bearer " + "0" * 64}

HTTP_PROBES = (
    *("GET /", "GET /metrics", "GET /stats", "GET /docs", "GET /openapi.json", "GET /-/routes", "GET /-/healthz"),
    *("GET /api/version", "GET /api/authentication_mode", "GET /api/gcs_healthz", "GET /api/local_raylet_healthz", "GET /api/healthz"),
    *("GET /api/v0/nodes", "GET /api/v0/logs/file", "GET /nodes", "GET /logs", "GET /api/serve/applications/", "GET /api/jobs/"),
    *("POST /api/jobs/", "GET /api/job_agent/jobs/", "POST /api/job_agent/jobs/", "POST /get_or_create_runtime_env"),
    *("GET /v2", "GET /v2/health/live", "GET /v2/health/ready", "GET /v2/models/flights", "POST /v2/models/flights/infer"),
    *("GET /flights/v2", "GET /flights/v2/health/ready", "GET /flights/v2/models/flights", "POST /flights/v2/models/flights/infer"),
)
ANYTHING = "GET /a-page-nobody-made"
# Harmless where they are let in, and of every gRPC service of Ray's at least one: with the token, each server answers one.
GRPC_PROBES = (
    *("ray.rpc.NodeInfoGcsService/GetAllNodeInfo", "ray.rpc.InternalKVGcsService/InternalKVGet", "ray.rpc.JobInfoGcsService/GetAllJobInfo"),
    *("ray.rpc.autoscaler.AutoscalerStateService/GetClusterStatus", "ray.rpc.NodeManagerService/GetNodeStats"),
    *("ray.rpc.ObjectManagerService/Pull", "ray.rpc.CoreWorkerService/GetCoreWorkerStats", "ray.rpc.ReporterService/HealthCheck"),
    *("ray.rpc.RayletDriver/ClusterInfo", "ray.rpc.RayletDriver/KVGet", "ray.rpc.LogService/ListLogs"),
    *("ray.serve.ASGIService/HandleRequest", "ray.serve.RayServeAPIService/ListApplications"),
    *("grpc.health.v1.Health/Check", "grpc.channelz.v1.Channelz/GetServers"),
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
)
LIST_SERVICES = b"\x3a\x00"  # ServerReflectionRequest with list_services
REFUSALS = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNIMPLEMENTED}
REFUSALS |= {grpc.StatusCode.UNAVAILABLE}  # it has ended meanwhile


@dataclass(frozen=True, order=True)
class Listener:
    """A port of a process. `command` is how the process was started, or the title it gave itself."""

    command: str
    address: str
    port: int

    @property
    def on(self) -> str:
        place = ipaddress.ip_address(self.address)
        mapped = getattr(place, "ipv4_mapped", None) or place
        return "loopback" if mapped.is_loopback else "every address" if place.is_unspecified else self.address

    @property
    def host(self) -> str:
        """Where to reach it."""
        place = ipaddress.ip_address(self.address)
        return "127.0.0.1" if place.is_unspecified else str(getattr(place, "ipv4_mapped", None) or place)


def listeners(pids: Iterable[int]) -> tuple[Listener, ...]:
    sockets = dict(_sockets())
    return tuple(sorted({Listener(_command(pid), *sockets[inode]) for pid in pids for inode in _inodes(pid) if inode in sockets}))


def speaks(listener: Listener) -> str:
    """HTTP or gRPC; "" once nobody listens there any more, as when an idle worker has ended since."""
    try:
        _http(listener, "GET /", {})
    except ConnectionRefusedError:
        return ""
    except (http.client.HTTPException, OSError):
        return "gRPC"
    return "HTTP"


def answers(listener: Listener, headers: dict[str, str] | None = None) -> frozenset[str]:
    """What it does for somebody without a token, of all that the probes ask."""
    given = headers or {}
    if speaks(listener) == "HTTP":
        if _http(listener, ANYTHING, given) < 400:
            return frozenset(["GET *"])
        return frozenset(probe for probe in HTTP_PROBES if _http(listener, probe, given) < 400)
    with grpc.insecure_channel(f"{listener.host}:{listener.port}") as channel:
        return frozenset(method for method in GRPC_PROBES if _grpc(channel, method, given) not in REFUSALS)


def _http(listener: Listener, probe: str, headers: dict[str, str]) -> int:
    verb, path = probe.split(" ")
    connection = http.client.HTTPConnection(listener.host, listener.port, timeout=10)
    try:
        connection.request(verb, path, body=b"{}" if verb == "POST" else None, headers={"content-type": "application/json"} | headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _grpc(channel: grpc.Channel, method: str, headers: dict[str, str]) -> grpc.StatusCode:
    metadata = tuple(headers.items())
    try:
        if "Reflection" in method:
            next(channel.stream_stream(f"/{method}")(iter([LIST_SERVICES]), timeout=10, metadata=metadata))
        else:
            channel.unary_unary(f"/{method}")(b"", timeout=10, metadata=metadata)
    except grpc.RpcError as refused:
        return refused.code()
    return grpc.StatusCode.OK


def _sockets() -> Iterator[tuple[str, tuple[str, int]]]:
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == LISTENS:
                address, port = words[1].split(":")
                yield words[9], (_address(address), int(port, 16))


def _address(hexed: str) -> str:
    """Each 32-bit group is in the machine's byte order."""
    raw = b"".join(bytes.fromhex(hexed[at : at + 8])[::-1] for at in range(0, len(hexed), 8))
    return str(ipaddress.ip_address(raw))


def _inodes(pid: int) -> Iterator[str]:
    with suppress(OSError):
        for handle in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                if found := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{handle}")):
                    yield found[1]


def _command(pid: int) -> str:
    return "driver" if pid == os.getpid() else " ".join(processes.command(pid)).strip()
