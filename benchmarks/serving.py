"""How fast is the endpoint, next to the same model in bare Starlette on one uvicorn process?

    python benchmarks/serving.py [rounds]

One replica against one process, in one run: rounds alternate, so that a busy machine slows both; where it is very busy,
believe the CPU time. What the endpoint does
beyond the bare server: a door with or without TLS, tokens, limits, strict reading, counting, and a replica that may be
lost. Load comes from `wrk` in a process of its own. The result is written beside this file.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mlray.access.spec import Role
from mlray.access.store import TokenStore
from mlray.client import Client, body
from mlray.features.spec import Features
from mlray.features.transform import Transform
from mlray.home import Home
from mlray.policy.allowance import Allowance
from mlray.serve.doors import free_port
from mlray.serve.predictor import Predictor
from mlray.serve.spec import ServeJob
from mlray.units import Duration
from mlray.vault.store import VaultAddress

ROOT = Path(__file__).parents[1]
POINTS = ((1, 1), (16, 1), (1, 16), (16, 16))  # (connections, rows in a request)
SECONDS = 4
NUMBERS = ("distance", "temp", "wind_speed", "visib", "pressure", "year")
TREES, DEPTH = 100, 6
CLUSTER = "local"


def main() -> None:
    if not shutil.which("wrk"):
        sys.exit("benchmarks/serving.py needs wrk: apt-get install wrk")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="mlray-bench-") as folder:
        home = Home.at(folder).prepare()
        vault = VaultAddress(home.store, str(home.keyring))
        vault.open().commit_model("bench", model_files(), {})
        token, _ = TokenStore(home.database).issue(Role.VIEWER, "benchmark", Duration(86400), datetime.now(UTC))
        with bare_server(folder) as bare, endpoints(home, vault, Path(folder)) as (plain, tls):
            check_same_answers(bare.url, plain.url, token)
            servers = {"bare": bare, "endpoint": plain, "endpoint with TLS": tls}
            results = [point(servers, token, connections, rows, rounds) for connections, rows in POINTS]
    report(rounds, results)


@dataclass(frozen=True)
class Server:
    """Where it answers, and the processes whose CPU time its answers take."""

    url: str
    pids: tuple[int, ...]

    def cpu_s(self) -> float:
        ticks = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13] for pid in self.pids]
        return sum(int(user) + int(system) for user, system in ticks) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Run:
    """One run of wrk: requests per second, 99th percentile and CPU time of the server for one request, both in ms."""

    rate: float
    p99: float
    cpu: float


def point(servers: dict[str, Server], token: str, connections: int, rows: int, rounds: int) -> dict[str, Any]:
    """Medians over the rounds for every server, and the endpoint's share of the bare server's requests."""
    seen: dict[str, list[Run]] = {name: [] for name in servers}
    for _ in range(rounds):
        for name, server in servers.items():
            seen[name].append(wrk(server, token, connections, rows))
    shares = [ours.rate / bare.rate for ours, bare in zip(seen["endpoint"], seen["bare"], strict=True)]
    found = {name: middle(runs) for name, runs in seen.items()}
    return {"connections": connections, "rows": rows, **found, "endpoint / bare": round(statistics.median(shares), 2)}


def middle(runs: list[Run]) -> dict[str, float]:
    rate, p99, cpu = (statistics.median(values) for values in zip(*((run.rate, run.p99, run.cpu) for run in runs), strict=True))
    return {"requests_per_s": round(rate), "p99_ms": round(p99, 2), "cpu_ms": round(cpu, 3)}


def wrk(server: Server, token: str, connections: int, rows: int) -> Run:
    """Refuses a run in which any answer was not 200."""
    sent = json.dumps(body([ROW] * rows))
    script = f"wrk.method='POST'; wrk.body=[==[{sent}]==]; wrk.headers['Authorization']='Bearer {token}'\n"
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", "-s", file.name, server.url]
        before = server.cpu_s()
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise SystemExit(f"{server.url}: {told}")
    rate, late = re.search(r"Requests/sec:\s+([\d.]+)", told), re.search(r"99%\s+([\d.]+)(us|ms|s)", told)
    count = re.search(r"(\d+) requests in", told)
    assert rate and late and count
    cpu = (server.cpu_s() - before) / int(count[1]) * 1000
    return Run(float(rate[1]), float(late[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[late[2]], cpu)


@contextmanager
def endpoints(home: Home, vault: VaultAddress, folder: Path) -> Iterator[tuple[Server, Server]]:
    """The same model twice on one cluster: behind a door without TLS and behind one with it, one replica each."""
    from mlray.launch.on_ray import connect, down, read_cluster, up
    from mlray.serve import on_ray

    file = ROOT / "cluster" / "local.yaml"
    os.environ.update(home.environment())
    make_certificate(folder)
    try:
        up(home, file)
        with connect(home):
            servers = []
            for name, tls in (("plain", None), ("tls", {"certificate": "door.crt", "key": "door.key"})):
                job = {"kind": "serve", "name": name, "deployment": name, "model": "bench", "policy": "none"}
                spec = ServeJob.model_validate(job | {"door": {"port": free_port(), "tls": tls}})
                room = Allowance(1, 1, 1.0, "a benchmark")
                made = on_ray.deploy(spec, folder, vault, home.database, room, 1)
                pids = [replica.pid for one in on_ray.deployments() if one.deployment == name for replica in one.replicas]
                servers.append((f"{made.endpoint}/infer", pids))
            plain, sealed = (Server(url, (*pids, *haproxy(folder))) for url, pids in servers)
            yield plain, sealed
    finally:
        down(home, read_cluster(file, home).cluster_name)


def haproxy(folder: Path) -> list[int]:
    """The HAProxy of the cluster in this folder: its configuration is named in its command line."""
    name = str(Home.at(folder).scratch(CLUSTER)).encode()
    found = [path.parent for path in Path("/proc").glob("[0-9]*/cmdline") if name in _read(path) and b"haproxy" in _read(path)]
    return [int(path.name) for path in found if (path / "exe").resolve().name == "haproxy"]


def _read(path: Path) -> bytes:
    with suppress(OSError):
        return path.read_bytes()
    return b""


@contextmanager
def bare_server(folder: str) -> Iterator[Server]:
    """The same predictor in Starlette on uvicorn, as its documentation would have it."""
    port = free_port()
    server = subprocess.Popen([sys.executable, __file__, "bare", str(port)], env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=folder)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield Server(f"http://127.0.0.1:{port}/predict", (server.pid,))
    finally:
        server.terminate()
        server.wait(10)


def serve_bare(port: int) -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    predictor = Predictor.open(model_files())

    async def predict(request: Request) -> JSONResponse:
        sent = await request.json()
        columns = {tensor["name"]: tensor["data"] for tensor in sent["inputs"]}
        return JSONResponse({"outputs": [{"name": "probability", "data": predictor.predict(columns).tolist()}]})

    uvicorn.run(Starlette(routes=[Route("/predict", predict, methods=["POST"])]), port=port, log_level="warning", access_log=False)


def check_same_answers(bare: str, plain: str, token: str) -> None:
    with urllib.request.urlopen(bare, json.dumps(body([ROW] * 3)).encode()) as answer:
        told = json.loads(answer.read())["outputs"][0]["data"]
    assert told == Client(plain.removesuffix("/infer"), token).predict([ROW] * 3)


def model_files() -> dict[str, bytes]:
    """100 trees of depth 6 over flights-like columns: the size a search ends with. The same every time."""
    import xgboost

    rng, rows = np.random.default_rng(7), 5000
    columns: dict[str, Any] = {name: rng.normal(50, 20, rows) for name in NUMBERS}
    columns |= {"carrier": rng.choice(["UA", "AA", "B6", "DL", "EV"], rows), "origin": rng.choice(["JFK", "LGA", "EWR"], rows)}
    columns["time_hour"] = pa.array(rng.integers(1_356_998_400, 1_388_534_400, rows) * 1_000_000, pa.timestamp("us", "UTC"))
    table = pa.table(columns)
    transform = Transform.fit(table, Features(number=NUMBERS, category=("carrier", "origin"), time=("time_hour",)))
    seen = transform.apply(table)
    label = (seen[:, 0] + seen[:, 6] * 10 + rng.normal(0, 10, rows) > 70).astype(float)
    data = xgboost.DMatrix(seen, label, feature_names=list(transform.names))
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": DEPTH, "seed": 7, "nthread": 1}, data, TREES)
    return {"model.json": bytes(booster.save_raw("json")), "transform.json": transform.to_json().encode(), "card.json": b"{}"}


ROW = dict.fromkeys(NUMBERS, 51.5) | {"carrier": "UA", "origin": "JFK", "time_hour": "2013-06-01T13:00:00Z"}


def make_certificate(folder: Path) -> None:
    names = ["-keyout", str(folder / "door.key"), "-out", str(folder / "door.crt"), "-subj", "/CN=door", "-days", "2"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", "req", "-x509", *curve, *names], check=True, capture_output=True)
    (folder / "door.key").chmod(0o600)


def report(rounds: int, results: list[dict[str, Any]]) -> None:
    told = {
        "question": str(__doc__).splitlines()[0],
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cpus": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "python": platform.python_version()},
        "model": {"trees": TREES, "depth": DEPTH, "columns": len(ROW)},
        "rounds": rounds,
        "seconds": SECONDS,
        "results": results,
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(told, indent=2) + "\n")
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    serve_bare(int(sys.argv[2])) if sys.argv[1:2] == ["bare"] else main()
