"""Doors on the head: their files, where the HAProxy that Serve starts picks them up. Every function runs on the head."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import urllib.request
from pathlib import Path

from mlray.errors import ClusterError, SpecError
from mlray.home import private_folder, write_private
from mlray.serve.door import Opening, frontend
from mlray.serve.spec import Door, Tls

ANSWER_S = 2.0


def open_door(deployment: str, door: Door, base: str) -> Opening:
    """Writes the door's frontend; HAProxy reads it when Serve next starts or reloads it. Raises SpecError.

    All is checked first: HAProxy would not start again over a port in use or a bad certificate, and takes every other
    deployment with it. `base` is the folder from which the certificate's path starts.
    """
    folder = doors()
    pem = folder / f"{deployment}.pem"
    opening = Opening(deployment, door.host, door.port, str(pem) if door.tls else "")
    _check_free(folder, opening)
    if door.tls:
        write_private(pem, _certificate(Path(base), door.tls))
    write_private(folder / f"{deployment}.cfg", frontend(opening))
    return opening


def close_door(deployment: str) -> None:
    for end in ("cfg", "pem"):
        (doors() / f"{deployment}.{end}").unlink(missing_ok=True)


def answers(opening: Opening) -> bool:
    """Whether a replica answers through the door: HAProxy learns of replicas a moment after Serve calls them ready."""
    # Asked of ourselves on this machine: that the certificate is the right one was seen when the door was opened.
    context = ssl._create_unverified_context() if opening.pem else None
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(opening.host, opening.host)
    asked = Opening(opening.deployment, host, opening.port, opening.pem).url + "/v2/health/ready"
    try:
        with urllib.request.urlopen(asked, timeout=ANSWER_S, context=context) as answer:
            return bool(answer.status == 200)
    except (OSError, http.client.HTTPException):
        return False


def doors() -> Path:
    """Beside the program that Serve starts as HAProxy, in the cluster's private folder."""
    program = os.environ.get("RAY_SERVE_HAPROXY_BINARY_PATH")
    if not program or os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") != "1":
        raise ClusterError("this cluster was not started by mlray: its Serve has no door", hint="start one with mlray up")
    return private_folder(Path(program).parent / "doors")


def free_port() -> int:
    """A port of the head for Serve's own frontend, which is on loopback; a Serve that runs already keeps the port it has."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def _check_free(folder: Path, opening: Opening) -> None:
    standing = {file.stem: file.read_text() for file in folder.glob("*.cfg")}
    bind = f"    bind {opening.address}"
    if any(line.startswith(bind) for line in standing.pop(opening.deployment, "").splitlines()):
        return
    if other := next((name for name, text in standing.items() if f"{bind}\n" in text or f"{bind} " in text), None):
        raise SpecError(f"door.port: {opening.address} is the door of deployment {other}", hint="choose another port")
    try:
        with socket.socket(socket.AF_INET6 if ":" in opening.host else socket.AF_INET) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((opening.host, opening.port))
    except OSError as error:
        raise SpecError(f"door.port: {opening.address} cannot be listened on: {error.strerror}", hint="choose another port") from error


def _certificate(base: Path, tls: Tls) -> str:
    """Certificate and key as one PEM text, once they are known to belong together."""
    certificate, key = base / tls.certificate, base / tls.key
    try:
        if key.stat().st_mode & 0o077:
            raise SpecError(f"door.tls.key: {key} can be read by other users", hint=f"chmod 600 {key}")
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
        return certificate.read_text().rstrip() + "\n" + key.read_text()
    except (OSError, UnicodeDecodeError) as error:  # ssl.SSLError is an OSError
        raise SpecError(f"door.tls: {certificate} and {key} cannot be used: {error}", hint="name PEM files the head can read") from error
