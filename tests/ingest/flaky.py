"""A proxy before an object store that fails a share of all calls: with a busy answer, or with none at all. Seeded."""

from __future__ import annotations

import http.client
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUSY = b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>'
HOP = {"connection", "transfer-encoding", "content-length", "date", "server"}


class Flaky(ThreadingHTTPServer):
    """Counts what it was asked and what it failed since it last began to fail another share."""

    daemon_threads = True

    def __init__(self, port: int, share: float, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind, self.share = port, share
        self.asked = self.failed = 0
        self._rng, self._lock = random.Random(seed), threading.Lock()

    def fails(self, share: float) -> None:
        """From now on, this share of all calls."""
        with self._lock:
            self.share, self.asked, self.failed = share, 0, 0

    def lot(self) -> str:
        """What becomes of the next call: it passes, is told that the store is busy, or hears nothing."""
        with self._lock:
            self.asked += 1
            if self._rng.random() >= self.share:
                return "passes"
            self.failed += 1
            return self._rng.choice(("busy", "nothing"))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Flaky

    def do_GET(self) -> None:
        sent = self._sent()
        match self.server.lot():
            case "nothing":
                self.close_connection = True
            case "busy":
                self._answer(503, {"Content-Type": "application/xml"}, BUSY)
            case _:
                self._answer(*self._asked_behind(sent))

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET

    def _sent(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        sent = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            sent += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return sent

    def _asked_behind(self, sent: bytes) -> tuple[int, dict[str, str], bytes]:
        behind = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
        try:
            behind.request(self.command, self.path, sent, headers)
            answer = behind.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            behind.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in HOP:
                self.send_header(name, value)
        length = next((value for name, value in headers.items() if name.lower() == "content-length"), str(len(body)))
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return None


@contextmanager
def flaky(port: int, share: float, seed: int) -> Iterator[Flaky]:
    """On a port of its own, before the server that listens on this machine's `port`."""
    server = Flaky(port, share, seed)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
