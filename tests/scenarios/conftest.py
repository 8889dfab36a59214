"""One demo and one cluster for all scenarios: the demo makes the data and the model, and its home goes on with the rest."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlray.serve.doors import free_port
from tests import clusters
from tests.conftest import ours
from tests.scenarios.plaintext import Hits, Watch, search
from tests.scenarios.shell import Said, Shell

# A few small trials: what they find matters here less than that they run. One trial at a time, so that it fits beside a replica.
TRIALS = "{most: %d, parallel: 1, cpus: 1, market: spot, report_every: 20, losses: 5, patience: %d}"
BRIEF = {"within": "3m", "rounds": "{kind: int, low: 20, high: 40, log: true, start: 20}", "trials": TRIALS % (3, 3)}


def long(rounds: int) -> dict[str, str]:
    """One trial of so many rounds, about a dozen of them a second, that is not given up before."""
    return {
        "within": "4m",
        "rounds": f"{{kind: int, low: {rounds}, high: {rounds + 1}, start: {rounds}}}",
        "max_depth": "{kind: int, low: 8, high: 9, start: 8}",
        "eta": "{kind: float, low: 0.02, high: 0.5, log: true, start: 0.02}",
        "trials": TRIALS % (1, 99),
    }


ROW = {
    "sched_dep_time": 1830,
    "sched_arr_time": 2055,
    "distance": 733,
    "temp": 71.06,
    "dewp": 64.04,
    "humid": 78.6,
    "wind_dir": 180.0,
    "wind_speed": 18.4,
    "wind_gust": None,
    "precip": 0.12,
    "pressure": 1009.1,
    "visib": 6.0,
    "plane_year": 1990,
    "seats": 149,
    "engines": 2,
    "carrier": "MQ",
    "origin": "LGA",
    "dest": "ORD",
    "manufacturer": "AMERICAN AIRCRAFT INC",
    "plane_type": "Fixed wing multi engine",
    "engine": "Turbo-fan",
    "time_hour": "2013-12-05T23:00:00+00:00",
}


@dataclass(frozen=True)
class Demonstrated:
    """The demo's run. `hits` holds plain values seen on disk while it ran and afterwards."""

    said: Said
    seconds: float
    hits: Hits
    looked: int
    left: dict[int, str]
    remains: tuple[str, ...]


@pytest.fixture(scope="package")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    clusters.let_go()  # theirs are started from the command line
    temporary = Path(tempfile.mkdtemp(prefix="s"))
    made = Shell.make(tmp_path_factory.mktemp("scenarios"), temporary)
    made.write("jobs/flights/tune.yaml", "jobs/flights/tune.yaml", **BRIEF)
    made.write("jobs/flights/serve.yaml", "jobs/flights/serve.yaml", port=str(free_port()))
    yield made
    shutil.rmtree(temporary, ignore_errors=True)


@pytest.fixture(scope="package")
def flight(shell: Shell) -> Path:
    """A row as a caller would send it. It lies outside of all that mlray writes to."""
    path = shell.folder / "flight.json"
    path.write_text(json.dumps(ROW))
    return path


@pytest.fixture(scope="package")
def demo(shell: Shell) -> Demonstrated:
    before, began = ours().keys(), time.monotonic()
    with Watch(shell.roots) as watch:
        said = shell.mlray("demo", "--once", "--json", within_s=560)
    left = {pid: command for pid, command in ours().items() if pid not in before}
    hits = watch.hits | search(*shell.roots)
    remains = tuple(str(path.relative_to(shell.temporary)) for path in shell.temporary.rglob("*"))
    return Demonstrated(said, time.monotonic() - began, hits, watch.looked, left, remains)


@pytest.fixture(scope="package")
def cluster(shell: Shell, demo: Demonstrated) -> Iterator[dict[str, str]]:
    """Up, with the demo's model deployed; down again whatever happens."""
    try:
        up = shell.json("up", "cluster/local.yaml")
        deployed = shell.json("deploy", "jobs/flights/serve.yaml")
        yield {"dashboard": up["status"]["dashboard"], "endpoint": deployed["endpoint"]}
    finally:
        shell.mlray("down", "local")


def poor(shell: Shell) -> tuple[str, ...]:
    """Job files of all three stages under a policy of a twentieth of a cent a day."""
    governs = {"jobs": "[poor-*]", "deployments": "[poor]"}  # of no work of others, which would count against it
    shell.write("policies/poor.yaml", "policies/flights.yaml", name="poor", amount="$0.0005", **governs)
    jobs = tuple(f"jobs/flights/poor-{stage}.yaml" for stage in ("ingest", "tune", "serve"))
    for job in jobs:
        name = Path(job).stem
        deployed = {"deployment": "poor"} if name == "poor-serve" else {}
        shell.write(job, job.replace("poor-", ""), name=name, policy="../../policies/poor.yaml", **deployed)
    return jobs
