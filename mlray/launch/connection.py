"""Connection: this process as a driver of a cluster, and its environment meanwhile."""

from __future__ import annotations

import logging
import os
import resource
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import ray
from ray._private import worker
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

from mlray.errors import ClusterError
from mlray.launch.environment import driver_environment
from mlray.launch.store import ClusterStore
from mlray.market.spec import Cluster

NAMESPACE = "mlray"
Before = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Connection:
    """A driver's hold on a cluster. `http_port` is the port kept free for Serve.

    Leaving it disconnects the driver and gives this process its environment back.
    """

    name: str
    address: str
    dashboard: str
    head_ip: str
    http_port: int
    token: Path
    cluster: Cluster
    before: Before = field(repr=False)

    @classmethod
    def open(cls, store: ClusterStore, cluster: Cluster) -> Connection:
        """Connects to a cluster whose head answers. Raises ClusterError when Ray does not let this process in."""
        record = store.known()
        head = record.address.rpartition(":")[0]
        before = _enter(driver_environment(record, store.token))
        worker.print_to_stdstream = _log
        try:
            ray.init(record.address, namespace=NAMESPACE, log_to_driver=False, logging_level="warning", _node_ip_address=head)
        except (ConnectionError, RuntimeError, ValueError) as error:
            _restore(before)
            raise ClusterError(f"cannot connect to cluster {store.name} at {record.address}: {error}") from error
        return cls(store.name, record.address, record.dashboard, head, record.ports.http, store.token, cluster, before)

    def close(self) -> None:
        ray.shutdown()
        _forget_serve()
        _restore(self.before)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _enter(environment: dict[str, str]) -> Before:
    """Sets the environment and returns what it was. Core dumps go off: one would hold what the driver has opened.

    Ray's core keeps the first token a process has used; a process may meet a second cluster, or the first started anew.
    """
    before = tuple((key, os.environ.get(key)) for key in environment)
    os.environ.update(environment)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()
    return before


def _forget_serve() -> None:
    """Serve's client outlives the driver that made it, and would look for this cluster's controller in the next one."""
    if context := sys.modules.get("ray.serve.context"):
        context._set_global_client(None)


def _restore(before: Before) -> None:
    for key, value in before:
        if value is None:
            os.environ.pop(key, None)
        else:
            os.environ[key] = value


def _log(batch: dict[str, Any], ignore_prefix: bool) -> None:
    """In place of Ray's function that prints its raylets' remarks over whatever is on the screen, even with log_to_driver off."""
    for line in batch["lines"]:
        logging.getLogger("mlray.ray").info("%s", line)
