"""Services for tests: AWS KMS by moto, a stand-in that speaks the HTTP API of Vault's transit engine, and one that never answers.

The stand-in really encrypts (AES-256-GCM with the associated data), keeps versions, checks the token, and refuses as Vault
documents it: https://developer.hashicorp.com/vault/api-docs/secret/transit
"""

from __future__ import annotations

import base64
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "hvs.test-token"
Answer = tuple[int, dict[str, Any]]


@dataclass
class Key:
    versions: list[bytes] = field(default_factory=lambda: [os.urandom(32)])
    oldest: int = 1


class Transit:
    """The engine behind the stand-in."""

    def __init__(self) -> None:
        self.keys: dict[str, Key] = {}
        self.sealed = False
        self.calls: list[str] = []

    def answer(self, method: str, path: str, token: str | None, body: dict[str, Any]) -> Answer:
        self.calls.append(f"{method} {path}")
        if self.sealed:
            return _errors(503, "Vault is sealed")
        if token != TOKEN:
            return _errors(403, "permission denied")
        match (method, path.removeprefix("/v1/").split("/")):
            case ("GET", ["transit", "keys", name]):
                return self._described(name)
            case ("POST" | "PUT", ["transit", "keys", name, "rotate"]):
                self.keys[name].versions.append(os.urandom(32))
                return 204, {}
            case ("POST" | "PUT", ["transit", "encrypt", name]):
                return self._encrypted(self.keys.setdefault(name, Key()), body)
            case ("POST" | "PUT", ["transit", "decrypt", name]) if name in self.keys:
                return self._decrypted(self.keys[name], body)
            case ("POST" | "PUT", ["transit", "decrypt", _]):
                return _errors(400, "encryption key not found")
        return _errors(404, "no handler for route")

    def _described(self, name: str) -> Answer:
        if name not in self.keys:
            return 404, {"errors": []}
        key = self.keys[name]
        about = {"name": name, "latest_version": len(key.versions), "min_decryption_version": key.oldest, "type": "aes256-gcm96"}
        return 200, {"data": about}

    def _encrypted(self, key: Key, body: dict[str, Any]) -> Answer:
        version = int(body.get("key_version") or len(key.versions))
        nonce = os.urandom(12)
        bound = base64.b64decode(body.get("associated_data", ""))
        sealed = nonce + AESGCM(key.versions[version - 1]).encrypt(nonce, base64.b64decode(body["plaintext"]), bound)
        return 200, {"data": {"ciphertext": f"vault:v{version}:{base64.b64encode(sealed).decode()}", "key_version": version}}

    def _decrypted(self, key: Key, body: dict[str, Any]) -> Answer:
        try:
            vault, version, text = body["ciphertext"].split(":")
            if vault != "vault":
                return _errors(400, "invalid ciphertext: no prefix")
            sealed = base64.b64decode(text, validate=True)
            if int(version[1:]) < key.oldest:
                return _errors(400, "ciphertext or signature version is disallowed by policy (too old)")
            bound = base64.b64decode(body.get("associated_data", ""))
            plain = AESGCM(key.versions[int(version[1:]) - 1]).decrypt(sealed[:12], sealed[12:], bound)
        except InvalidTag:
            return _errors(400, "cipher: message authentication failed")
        except (ValueError, IndexError):
            return _errors(400, "invalid ciphertext: could not decode")
        return 200, {"data": {"plaintext": base64.b64encode(plain).decode()}}


@contextmanager
def transit_server(engine: Transit) -> Iterator[str]:
    """The address of a stand-in."""

    def reply(request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        sent = json.loads(body) if body else {}
        code, value = engine.answer(request.command, request.path, request.headers.get("X-Vault-Token"), sent)
        return code, json.dumps(value).encode() if value else b"", {"Content-Type": "application/json"}

    with _server(reply) as address:
        yield address


@contextmanager
def refusing_kms(code: str) -> Iterator[str]:
    """A KMS that refuses everything with one code: moto decrypts with a disabled key, and the real one does not."""

    def reply(request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        return 400, json.dumps({"__type": code, "message": "refused"}).encode(), {"Content-Type": "application/x-amz-json-1.1"}

    with _server(reply) as address:
        yield address


@contextmanager
def kms_server() -> Iterator[str]:
    """The address of moto's KMS."""
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def silent_server() -> Iterator[str]:
    """Takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def closed_address() -> str:
    """Where nobody listens."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def _server(reply: Callable[[BaseHTTPRequestHandler, bytes], tuple[int, bytes, dict[str, str]]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            code, body, headers = reply(self, self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            self.send_response(code)
            for name, value in ({} if code == 204 else headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_LIST = do_POST

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def _errors(code: int, *said: str) -> Answer:
    return code, {"errors": list(said)}
