"""The governor of a cluster, started by whoever is first: `mlray up` in the background, or a job.

An edge: here the governor, which knows no launcher, is given the machines of its cluster.
"""

from __future__ import annotations

from contextlib import suppress

from mlray.errors import ClusterError
from mlray.home import Home
from mlray.launch.dashboard import begin
from mlray.launch.governed import LocalMachines
from mlray.launch.on_ray import connect
from mlray.launch.status import Status
from mlray.launch.store import ClusterStore

# Run on the head as a Ray job, so that whoever started the cluster need not wait for it, and it ends with the cluster.
ENTRYPOINT = "python -c 'from mlray.jobs.governor import attend; attend(\"{cluster}\")'"


def govern(home: Home, cluster: str, wait: bool = True) -> None:
    """Starts the cluster's governor unless it runs. Ray must be connected."""
    from mlray.govern.on_ray import start_governor

    start_governor(home, cluster, LocalMachines(home, cluster), wait=wait)


def govern_soon(home: Home, up: Status) -> None:
    """Has the head start it, and does not wait. Where that fails, the first job starts it."""
    with suppress(ClusterError):
        begin(up.dashboard, ClusterStore(home, up.name).token.read_text(), ENTRYPOINT.format(cluster=up.name))


def attend(cluster: str) -> None:
    """What the head does for `govern_soon`."""
    home = Home.locate()
    with connect(home, cluster):
        govern(home, cluster)
