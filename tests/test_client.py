"""The client against a real server that misbehaves on purpose."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from mlray.client import Client, body, curl
from mlray.errors import AccessError, SpecError, WorkError
from tests.serve.models import ROW

ANSWER = {"outputs": [{"name": "probability", "shape": [1], "datatype": "FP64", "data": [0.25]}]}
GONE = 0  # closes the connection without an answer


class Server(ThreadingHTTPServer):
    """Answers with the statuses it is given, in order; then 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses: list[int] = []
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v2/models/flights"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.seen.append((self.command, self.path, dict(self.headers), sent))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if status == GONE:
            self.close_connection = True
            return
        answer = json.dumps(ANSWER | {"ready": True} if status == 200 else {"error": "why not"}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        return None


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def test_rows_are_sent_as_tensors_with_the_token(server: Server):
    with Client(server.url, "mlr_x") as client:
        assert client.predict([ROW]) == [0.25]
    method, path, headers, sent = server.seen[0]
    assert (method, path, headers["Authorization"]) == ("POST", "/v2/models/flights/infer", "Bearer mlr_x")
    assert json.loads(sent)["inputs"][0] == {"name": "distance", "shape": [1], "datatype": "INT64", "data": [1400]}


@pytest.mark.parametrize("status", [GONE, 500, 502, 503, 504])
def test_one_replica_lost_is_not_seen_by_the_caller(server: Server, status: int):
    server.statuses = [status]
    assert Client(server.url, "mlr_x").predict([ROW]) == [0.25]
    assert len(server.seen) == 2


@pytest.mark.parametrize("status", [500, 503])
def test_a_deployment_that_is_down_is_said_after_two_tries(server: Server, status: int):
    server.statuses = [status, status]
    with pytest.raises(WorkError, match=f"answers {status}: why not"):
        Client(server.url, "mlr_x").predict([ROW])
    assert len(server.seen) == 2


def test_a_server_that_is_not_there_is_said(server: Server):
    client = Client(server.url, "mlr_x")
    server.shutdown()
    server.server_close()
    with pytest.raises(WorkError, match=r"does not answer: .*Connection refused"):
        client.predict([ROW])
    assert not client.ready()


@pytest.mark.parametrize(("status", "error"), [(401, AccessError), (403, AccessError), (400, SpecError), (413, SpecError)])
def test_what_trying_again_cannot_mend_is_not_tried_again(server: Server, status: int, error: type[Exception]):
    server.statuses = [status]
    with pytest.raises(error, match="why not"):
        Client(server.url, "mlr_x").predict([ROW])
    assert len(server.seen) == 1


def test_the_connection_is_kept_for_the_next_request(server: Server):
    client = Client(server.url, "mlr_x")
    client.predict([ROW])
    first = client._connection.sock
    client.predict([ROW])
    assert client.ready() and client._connection.sock is first


def test_a_missing_value_is_sent_as_null_in_the_type_of_its_column():
    told = body([{"temp": None, "carrier": "UA"}, {"temp": 3, "carrier": None}, {"temp": 2.5, "carrier": "AA"}])["inputs"]
    assert [(one["datatype"], one["data"]) for one in told] == [("FP64", [None, 3, 2.5]), ("BYTES", ["UA", None, "AA"])]


def test_rows_with_different_columns_are_refused_by_name():
    with pytest.raises(SpecError, match="row 1 differs from the first in temp"):
        body([{"distance": 1, "temp": 2}, {"distance": 1}])
    with pytest.raises(SpecError, match="there are no rows"):
        body([])


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1/v2", "", "http://"])
def test_what_is_no_endpoint_is_refused(url: str):
    with pytest.raises(SpecError, match="is no endpoint"):
        Client(url, "mlr_x")


def test_the_curl_command_does_what_the_client_does(server: Server):
    command = curl(server.url, ROW | {"carrier": "O'Hare"})
    assert "mlr_" not in command
    ran = subprocess.run(["sh", "-c", command], env={"PATH": "/usr/bin:/bin", "MLRAY_TOKEN": "mlr_x"}, capture_output=True, timeout=20)
    assert json.loads(ran.stdout)["outputs"][0]["data"] == [0.25]
    _, path, headers, sent = server.seen[0]
    assert (path, headers["Authorization"]) == ("/v2/models/flights/infer", "Bearer mlr_x")
    assert json.loads(sent)["inputs"][2]["data"] == ["O'Hare"]
