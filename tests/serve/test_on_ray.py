"""Deployments on a real cluster: behind their doors, under load, when a node goes, and when the money changes."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import ray

from mlray.access.spec import Role
from mlray.access.store import TokenStore
from mlray.client import Client, body
from mlray.errors import AccessError, SpecError, WorkError
from mlray.home import Home
from mlray.launch.on_ray import Connection, kill_node, status
from mlray.policy.allowance import Allowance
from mlray.serve import on_ray
from mlray.serve.autoscaler import GOVERNOR, NAMESPACE
from mlray.serve.doors import free_port
from mlray.serve.on_ray import Deployed, Serving
from mlray.serve.predictor import Predictor
from mlray.serve.spec import ServeJob
from mlray.units import Duration
from mlray.vault.store import VaultAddress
from tests.clusters import eventually, running_cluster
from tests.serve.certificates import self_signed
from tests.serve.models import ROW, json_rows, model_files, raw

pytestmark = pytest.mark.ray


@dataclass(frozen=True)
class Lab:
    home: Home
    cluster: Connection
    folder: Path

    @property
    def vault(self) -> VaultAddress:
        return VaultAddress(self.home.store, str(self.home.keyring))

    def token(self) -> tuple[str, str]:
        text, record = TokenStore(self.home.database).issue(Role.VIEWER, "ada", Duration(3600), datetime.now(UTC))
        return text, record.id

    def deploy(self, name: str, floor: int, within_s: float = 120.0, **fields: Any) -> Deployed:
        job = {"kind": "serve", "name": f"{name}-serve", "deployment": name, "model": "flights", "policy": "p"} | fields
        job = {"door": {"port": free_port()}, "replica": {"cpus": 0.25, "per_node": 1}} | job
        room = Allowance(floor, 3, 1.0, "as the test says")
        return on_ray.deploy(ServeJob.model_validate(job), self.folder, self.vault, self.home.database, room, 3, within_s=within_s)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    home = Home.at(tmp_path_factory.mktemp("home"))
    VaultAddress(home.prepare().store, str(home.keyring)).open().commit_model("flights", model_files(), {})
    with running_cluster(home) as connection:
        yield Lab(home, connection, tmp_path_factory.mktemp("job"))


@pytest.fixture(scope="module")
def flights(lab: Lab) -> Deployed:
    return lab.deploy("flights", floor=2)


def now(name: str) -> Serving:
    return next(one for one in on_ray.deployments() if one.deployment == name)


def raw_status(endpoint: str, method: str, path: str, token: str = "", sent: bytes | None = None) -> int:
    place = urlsplit(endpoint)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10)
    connection.request(method, path, sent, {"Authorization": f"Bearer {token}"} if token else {})
    return connection.getresponse().status


def test_the_endpoint_answers_the_same_bits_as_the_model_itself(lab: Lab, flights: Deployed):
    assert flights.replicas == 2 and flights.model.startswith("flights@")
    answers = Client(flights.endpoint, lab.token()[0]).predict(json_rows(raw()))
    assert answers == Predictor.open(model_files()).predict_table(raw()).tolist()


def test_two_replicas_stand_on_two_nodes(flights: Deployed):
    assert len({replica.node_id for replica in now("flights").replicas if replica.state == "RUNNING"}) == 2


def test_the_door_shows_strangers_nothing_but_health(lab: Lab, flights: Deployed):
    seen = {path: raw_status(flights.endpoint, "GET", path) for path in ("/v2/health/ready", "/v2", "/v2/models/flights")}
    assert seen == {"/v2/health/ready": 200, "/v2": 401, "/v2/models/flights": 401}
    for path in ("/", "/docs", "/openapi.json", "/-/routes", "/-/healthz", "/stats", "/metrics", "/flights/v2", "/v2x"):
        assert raw_status(flights.endpoint, "GET", path, lab.token()[0]) == 404, path
    assert raw_status(flights.endpoint, "POST", "/v2/models/flights/infer", lab.token()[0], b"[NaN]") == 400
    assert raw_status(flights.endpoint, "POST", "/v2/models/flights/infer", lab.token()[0], b" " * (4 << 20) + b"1") == 413


def test_a_revoked_token_is_turned_away_within_seconds(lab: Lab, flights: Deployed):
    text, name = lab.token()
    client = Client(flights.endpoint, text)
    assert client.ready()
    TokenStore(lab.home.database).revoke(name, datetime.now(UTC))

    def refused() -> bool:
        try:
            return not client.predict([ROW])
        except AccessError as error:
            return "was revoked" in error.message

    assert eventually(refused, 10)


def test_a_door_with_tls_speaks_https_alone(lab: Lab, flights: Deployed):
    certificate, key = self_signed(lab.folder)
    tls = {"certificate": certificate.name, "key": key.name}
    sealed = lab.deploy("sealed", 1, door={"port": free_port(), "tls": tls})
    assert sealed.endpoint.startswith("https://127.0.0.1:")
    token = lab.token()[0]
    assert eventually(lambda: Client(sealed.endpoint, token, ca=certificate).ready(), 10)
    with pytest.raises(AccessError, match="cannot be trusted"):
        Client(sealed.endpoint, token).predict([ROW])
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        raw_status(sealed.endpoint, "GET", "/v2/health/live")
    assert on_ray.undeploy("sealed") and not on_ray.undeploy("sealed")
    assert eventually(lambda: not Client(sealed.endpoint, token, ca=certificate).ready(), 20)
    assert Client(flights.endpoint, token).ready()


def test_a_port_in_use_is_refused_and_the_others_go_on(lab: Lab, flights: Deployed):
    with pytest.raises(SpecError, match="is the door of deployment flights"):
        lab.deploy("second", 1, door={"port": urlsplit(flights.endpoint).port})
    assert Client(flights.endpoint, lab.token()[0]).ready()


def test_a_model_that_was_changed_is_never_served_and_says_why(lab: Lab, flights: Deployed):
    changed = lab.vault.open().commit_model("changed", model_files() | {"card.json": b'{"v": 2}'}, {})
    sealed = [path for path in Path(lab.home.root / "store").rglob("*.sealed") if changed.digest in str(path)]
    for path in sealed:
        held = bytearray(path.read_bytes())
        held[len(held) // 2] ^= 1
        path.write_bytes(held)
    assert sealed
    with pytest.raises(WorkError, match="TamperError"):
        lab.deploy("changed", 1, model="changed")
    assert eventually(lambda: [one.deployment for one in on_ray.deployments()] == ["flights"], 20)  # nothing of it stays


def test_the_loss_of_a_node_under_load_is_not_seen_by_clients(lab: Lab, flights: Deployed):
    token, sent = lab.token()[0], json.dumps(body([ROW])).encode()
    over = threading.Event()
    seen: list[str] = []
    bare: list[str] = []

    def call() -> None:
        with Client(flights.endpoint, token) as client:
            while not over.wait(0.02):
                seen.append(_said(lambda: client.predict([ROW])))

    def call_once() -> None:
        while not over.wait(0.02):
            bare.append(_said(lambda: raw_status(flights.endpoint, "POST", "/v2/models/flights/infer", token, sent)))

    threads = [threading.Thread(target=target) for target in (call, call, call_once, call_once)]
    for thread in threads:
        thread.start()
    by_address = {node.ip: node.id for node in status(lab.home, lab.cluster.name).nodes if node.type != "head"}
    lost = now("flights").replicas[0]
    assert eventually(lambda: len(seen) > 50, 30)
    kill_node(lab.home, lab.cluster.name, by_address[lost.node_ip])
    regained = eventually(lambda: now("flights").ready == 2 and lost.id not in [one.id for one in now("flights").replicas], 120)
    over.set()
    for thread in threads:
        thread.join()
    assert set(seen) == {"ok"}, [one for one in seen if one != "ok"]
    failed = [one for one in bare if one != "200"]
    assert len(failed) <= 2, failed  # those in flight on the dead node: two callers had one each
    assert regained


def test_the_governors_word_moves_the_replicas(lab: Lab, flights: Deployed):
    governor = Governor.options(name=GOVERNOR, namespace=NAMESPACE, lifetime="detached", num_cpus=0).remote()  # type: ignore[attr-defined]
    try:
        ray.get(governor.tell.remote(1, 1, "little is left"))
        assert eventually(lambda: now("flights").target == 1 and now("flights").ready == 1, 40)
        ray.get(governor.tell.remote(2, 3, "the window renewed"))
        assert eventually(lambda: now("flights").ready == 2, 90)
    finally:
        ray.kill(governor)
    assert eventually(lambda: Client(flights.endpoint, lab.token()[0]).ready(), 10)


def test_load_adds_replicas_up_to_the_ceiling_and_its_end_takes_them_away(lab: Lab):
    pace = {"target_ongoing": 0.5, "window": "2s", "up_after": "1s", "down_after": "2s"}
    busy = lab.deploy("busy", 1, scaling=pace, replica={"cpus": 0.25})
    token, over, answers = lab.token()[0], threading.Event(), set[int]()
    batch = json.dumps(body([ROW] * 2000)).encode()  # once: what the callers compute, the new replicas would wait for

    def call() -> None:
        while not over.is_set():
            answers.add(raw_status(busy.endpoint, "POST", "/v2/models/busy/infer", token, batch))

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    grown = eventually(lambda: now("busy").ready == 3, 60)
    over.set()
    for thread in threads:
        thread.join()
    assert grown and answers == {200} and eventually(lambda: now("busy").target == 1, 40)
    on_ray.undeploy("busy")


def test_requests_rows_and_seconds_are_counted_for_prometheus(lab: Lab, flights: Deployed):
    Client(flights.endpoint, lab.token()[0]).predict([ROW, ROW])
    names = {"ray_mlray_requests_total", "ray_mlray_rows_total", "ray_mlray_request_seconds_count"}

    def exported() -> bool:
        pages = [_metrics(node["NodeManagerAddress"], node["MetricsExportPort"]) for node in ray.nodes() if node["Alive"]]
        return names <= {line.split("{")[0] for page in pages for line in page.splitlines() if 'served="flights"' in line}

    assert eventually(exported, 30)


@ray.remote
class Governor:
    """Says of every deployment what it was last told to say."""

    def tell(self, floor: int, ceiling: int, reason: str) -> None:
        self.told = {"floor": floor, "ceiling": ceiling, "spot_share": 1.0, "reason": reason}

    def allowance(self, deployment: str) -> dict[str, Any]:
        return self.told


def _said(do: Any) -> str:
    try:
        answer = do()
        return "ok" if isinstance(answer, list) else str(answer)
    except Exception as error:
        return repr(error)


def _metrics(host: str, port: int) -> str:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    connection.request("GET", "/metrics")
    return connection.getresponse().read().decode()
