"""The ASGI application, called as a server calls it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from mlray import client
from mlray.access.spec import Role
from mlray.access.token import RANDOM_BYTES, make
from mlray.serve.gate import Known, Limits
from mlray.serve.ingress import ROWS_AT_ONCE, Answer, Ingress
from mlray.serve.predictor import Predictor
from mlray.units import Duration, Memory
from tests.serve.models import ROW, json_rows, model_files, raw

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXT, RECORD = make(bytes(range(RANDOM_BYTES)), NOON, Duration(3600), Role.VIEWER, "ada")
INFER = "/v2/models/flights/infer"


@dataclass
class Around:
    """Surroundings that stand still and remember what they were told."""

    told: list[tuple[int, int]] = field(default_factory=list)
    asides: int = 0
    looks: int = 0
    stale: bool = False

    def known(self) -> Known:
        return Known({} if self.stale else {RECORD.id: RECORD}, NOON)

    async def fresher(self) -> Known:
        self.looks += 1
        return Known({RECORD.id: RECORD}, NOON)

    def moment(self) -> datetime:
        return NOON

    def timer(self) -> float:
        return 0.0

    async def aside(self, work: Callable[[], np.ndarray]) -> np.ndarray:
        self.asides += 1
        return work()

    def tell(self, answer: Answer, seconds: float) -> None:
        self.told.append((answer.status, answer.rows))


@dataclass
class Sent:
    status: int
    headers: dict[str, str]
    body: Any


AROUND = Around()
APP = Ingress("flights", "flights@3f2a", Predictor.open(model_files()), Limits(Memory(64 << 10), 200), AROUND)


def ask(
    method: str,
    path: str,
    body: bytes = b"",
    token: str = TEXT,
    headers: dict[str, str] | None = None,
    chunk: int = 1 << 30,
    app: Ingress = APP,
) -> Sent:
    """One request under the prefix that Serve mounts the application at; the body comes in chunks."""
    pieces = [body[i : i + chunk] for i in range(0, len(body), chunk)] or [b""]
    messages = [{"type": "http.request", "body": piece, "more_body": i < len(pieces) - 1} for i, piece in enumerate(pieces)]
    given = ({"authorization": f"Bearer {token}"} if token else {}) | (headers or {})
    scope = {"type": "http", "method": method, "path": f"/flights{path}", "root_path": "/flights"}
    out: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        out.append(message)

    run: Awaitable[None] = app({**scope, "headers": [(k.encode(), v.encode()) for k, v in given.items()]}, receive, send)
    asyncio.run(_finish(run))
    start, end = out
    names = {key.decode(): value.decode() for key, value in start["headers"]}
    assert int(names["content-length"]) == len(end["body"]) and names["content-type"] == "application/json"
    return Sent(start["status"], names, json.loads(end["body"]))


async def _finish(run: Awaitable[None]) -> None:
    await run


def rows(count: int) -> bytes:
    return json.dumps(client.body([ROW] * count)).encode()


def test_a_row_is_answered_with_the_model_its_version_and_a_probability():
    told = ask("POST", INFER, rows(1))
    assert told.status == 200
    assert (told.body["model_name"], told.body["model_version"]) == ("flights", "flights@3f2a")
    assert told.body["outputs"][0]["shape"] == [1] and 0 < told.body["outputs"][0]["data"][0] < 1


def test_sixty_five_rows_are_predicted_aside_and_sixty_four_are_not():
    before = AROUND.asides
    assert ask("POST", INFER, rows(ROWS_AT_ONCE)).status == 200
    assert AROUND.asides == before
    assert len(ask("POST", INFER, rows(ROWS_AT_ONCE + 1)).body["outputs"][0]["data"]) == ROWS_AT_ONCE + 1
    assert AROUND.asides == before + 1


def test_every_answer_is_counted_with_its_status_and_rows():
    AROUND.told.clear()
    ask("POST", INFER, rows(3))
    ask("POST", INFER, b"no json")
    ask("GET", "/v2", token="")
    assert AROUND.told == [(200, 3), (400, 0), (401, 0)]


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready"])
def test_health_is_told_to_everyone(path: str):
    assert ask("GET", path, token="").status == 200


@pytest.mark.parametrize(
    "path", ["/v2", "/v2/", "/v2/models/flights", "/v2/models/flights/ready", INFER, "/v2/models/other", "/docs", "/-/routes"]
)
@pytest.mark.parametrize("token", ["", "mlr_" + "0" * 12 + "_" + "0" * 64, "other"])
def test_all_else_is_told_to_nobody_without_a_token(path: str, token: str):
    told = ask("GET", path, token=token)
    assert told.status == 401 and told.headers["www-authenticate"] == "Bearer"
    assert set(told.body) == {"error"}


@pytest.mark.parametrize(
    "path", ["/docs", "/openapi.json", "/-/routes", "/-/healthz", "/v2/models/other", "/v2/models/flights/versions", "/"]
)
def test_what_is_not_there_is_404_even_with_a_token(path: str):
    assert ask("GET", path).status == 404


def test_the_wrong_method_is_405_with_the_right_one():
    assert ask("GET", INFER).headers["allow"] == "POST"
    assert ask("POST", "/v2/models/flights").headers["allow"] == "GET"
    assert ask("DELETE", "/v2").status == 405


def test_metadata_names_the_version_and_every_column():
    told = ask("GET", "/v2/models/flights").body
    assert told["versions"] == ["flights@3f2a"]
    assert [one["name"] for one in told["inputs"]] == ["distance", "temp", "carrier", "time_hour"]
    assert ask("GET", "/v2").body["name"] == "mlray"


def test_a_body_above_the_limit_is_413_by_its_declared_and_by_its_real_length():
    assert ask("POST", INFER, b"", headers={"content-length": "65537"}).status == 413
    assert ask("POST", INFER, b" " * 65537, chunk=1000).status == 413
    assert ask("POST", INFER, b" " * 65536, chunk=1000).status == 400


def test_rows_above_the_limit_are_413():
    assert ask("POST", INFER, rows(200)).status == 200
    told = ask("POST", INFER, rows(201))
    assert (told.status, told.body["error"]) == (413, "the request holds 201 rows, more than 200: send them in several requests")


def test_a_compressed_body_is_415():
    assert ask("POST", INFER, b"x", headers={"content-encoding": "gzip"}).status == 415


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"distance": "far"}, "column 'distance', row 0: 'far' is not a number"),
        ({"carrier": 7}, "column 'carrier', row 0: 7 is not text"),
        ({"time_hour": "noon"}, "column 'time_hour', row 0: 'noon' is not ISO 8601, like 2013-06-01T13:00:00Z"),
        ({"arr_delay": 5}, "column 'arr_delay' is none the model knows; it needs distance, temp, carrier, time_hour"),
        ({"distance": 10**400}, "column 'distance' holds a whole number too large for a float"),
    ],
)
def test_a_value_the_model_cannot_take_is_400_with_column_and_value(changed: dict[str, Any], said: str):
    told = ask("POST", INFER, json.dumps(client.body([ROW | changed])).encode())
    assert (told.status, told.body["error"]) == (400, said)


def test_a_fault_of_ours_is_500_without_its_inside():
    class Broken(Predictor):
        def predict(self, columns: Any) -> np.ndarray:
            raise RuntimeError("secret path /home/ada")

    whole = Predictor.open(model_files())
    broken = Broken(whole._booster, whole._transform, {})
    told = ask("POST", INFER, rows(1), app=Ingress("flights", "v", broken, APP.limits, AROUND))
    assert told.status == 500 and "secret" not in json.dumps(told.body)


def test_the_answer_to_all_rows_equals_the_sealed_table_bit_for_bit():
    sealed = Predictor.open(model_files()).predict_table(raw().slice(0, 200))
    told = ask("POST", INFER, json.dumps(client.body(json_rows(raw().slice(0, 200)))).encode(), chunk=5000)
    assert np.asarray(told.body["outputs"][0]["data"], dtype=np.float32).tobytes() == sealed.tobytes()
