"""An S3 that is really spoken to over HTTP: moto's server, and before it a proxy that fails some calls."""

from __future__ import annotations

import http.client
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
from moto.server import ThreadedMotoServer

BUCKET = "vault"
BUSY = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


@contextmanager
def running() -> Iterator[str]:
    """HOST:PORT of a server with an empty bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    place = f"{host}:{port}"
    boto3.client("s3", endpoint_url=f"http://{place}", region_name="us-east-1").create_bucket(Bucket=BUCKET)
    try:
        yield place
    finally:
        server.stop()


def uri(place: str, folder: str) -> str:
    return f"s3://{BUCKET}/{folder}?endpoint_override={place}&scheme=http&region=us-east-1"


class Failing(ThreadingHTTPServer):
    """Passes calls on, and answers a share of them with 503: half of those before the call was passed on, half after.

    So some writes that were answered with an error did happen. After `down_after` calls it fails all.
    """

    daemon_threads = True

    def __init__(self, behind: str, share: float, seed: int, down_after: int) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.behind, self.share, self.dice, self.lock = behind, share, random.Random(seed), threading.Lock()
        self.calls, self.failed, self.down_after = 0, 0, down_after

    def fate(self) -> str:
        with self.lock:
            roll, self.calls = self.dice.random(), self.calls + 1
            self.failed += roll < self.share
        if self.calls > self.down_after:
            return "before"
        return "before" if roll < self.share / 2 else "after" if roll < self.share else "pass"

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Failing

    def answer(self) -> None:
        fate, body = self.server.fate(), self._body()
        status, headers, data = self._passed(body) if fate != "before" else (503, [], BUSY)
        if fate == "after":
            status, headers, data = 503, [], BUSY
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("connection", "content-length", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        length = next((value for name, value in headers if name.lower() == "content-length"), "0") if self.command == "HEAD" else len(data)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

    def _body(self) -> bytes:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.close_connection = False
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _passed(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.server.behind, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("transfer-encoding", "expect", "connection")}
        connection.request(self.command, self.path, body, headers | {"Content-Length": str(len(body))})
        found = connection.getresponse()
        data = found.read()
        connection.close()
        return found.status, found.getheaders(), data

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def failing(behind: str, share: float, seed: int, down_after: int = 10**9) -> Iterator[Failing]:
    proxy = Failing(behind, share, seed, down_after)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
