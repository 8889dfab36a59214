"""What is asked of a head over HTTP, by a head that writes down what it was asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from mlray.errors import ClusterError
from mlray.launch.dashboard import begin


@dataclass
class Head:
    url: str
    status: int = 200
    asked: list[tuple[str, str, object]] = field(default_factory=list)


@pytest.fixture
def head() -> Iterator[Head]:
    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.asked.append((self.path, self.headers["Authorization"], json.loads(body)))
            self.send_response(found.status)
            self.end_headers()
            self.wfile.write(b'{"submission_id": "raysubmit_1"}')

        def log_message(self, *given: object) -> None:
            """Not on the screen."""

    server = HTTPServer(("127.0.0.1", 0), Answers)
    found = Head(f"http://127.0.0.1:{server.server_port}")
    Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


def test_a_job_is_handed_to_the_head_with_the_token_of_the_cluster(head: Head):
    begin(head.url, "secret", "python -c 'print(1)'")
    assert head.asked == [("/api/jobs/", "Bearer secret", {"entrypoint": "python -c 'print(1)'"})]


def test_a_head_that_does_not_take_it_is_one_sentence(head: Head):
    head.status = 500
    with pytest.raises(ClusterError, match="does not take a job: HTTP Error 500"):
        begin(head.url, "secret", "true")
    with pytest.raises(ClusterError, match="does not take a job"):
        begin("http://127.0.0.1:1", "secret", "true", wait_s=1.0)
