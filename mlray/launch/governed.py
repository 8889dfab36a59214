"""LocalMachines: what the governor of a local cluster may do to its machines. An edge."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime

from mlray.govern.machines import Bought
from mlray.home import Home
from mlray.launch.environment import OURS
from mlray.launch.machine import end_nodes, live_nodes
from mlray.launch.record import machine
from mlray.launch.store import ClusterStore

DOWN = "from mlray.jobs.run import down; from mlray.home import Home; import sys; down(Home.locate(), sys.argv[1])"


@dataclass(frozen=True, slots=True)
class LocalMachines:
    """The process trees of one cluster, from its record."""

    home: Home
    cluster: str

    def bought(self) -> tuple[Bought, ...]:
        record = ClusterStore(self.home, self.cluster).read()
        live = live_nodes(record) if record else ()
        return tuple(Bought(machine(self.cluster, n), n.ip, n.type, datetime.fromtimestamp(n.made, UTC)) for n in live)

    def end(self, name: str) -> None:
        store = ClusterStore(self.home, self.cluster)
        record = store.read()
        end_nodes(store, [node.id for node in live_nodes(record) if machine(self.cluster, node) == name] if record else [], grace_s=0)

    def down(self) -> None:
        """`mlray down`, as a process that outlives the caller.

        It is a descendant of the head, whose keeper adopts it as soon as the shell has gone: Ray kills the children of a
        worker that ends, and taking the cluster down spares the process that does it.
        """
        command = [sys.executable, "-c", DOWN, self.cluster]
        log = self.home.cluster(self.cluster).parent / f".{self.cluster}.down.log"
        with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as said:
            shell = ["sh", "-c", 'setsid "$@" &', "sh", *command]
            environment = {
                key: value for key, value in os.environ.items() if not key.startswith((*OURS, "TMPDIR"))
            } | self.home.environment()
            subprocess.run(shell, env=environment, cwd="/", stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=True)
