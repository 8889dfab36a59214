"""Client: rows in, probabilities out, over an endpoint's HTTP. Standard library alone, one connection kept open."""

from __future__ import annotations

import http.client
import json
import shlex
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from mlray.errors import AccessError, SpecError, WorkError

# What a replica or its node that went away in the middle of a request looks like from here. A prediction changes nothing,
# so asking once more is harmless; more than once would hide a deployment that is down.
AGAIN = (500, 502, 503, 504)
GONE = (http.client.HTTPException, OSError)


class Client:
    """One endpoint, such as `http://127.0.0.1:8000/v2/models/flights`, and a token for it. Not for several threads at once.

    `ca` is a PEM file of the authority that signed the endpoint's certificate, where the system does not know it.
    """

    def __init__(self, url: str, token: str, ca: Path | str | None = None, timeout_s: float = 10.0) -> None:
        self._place = urlsplit(url)
        if self._place.scheme not in ("http", "https") or not self._place.hostname:
            raise SpecError(
                f"{url} is no endpoint", hint="write it as mlray deploy prints it, like http://127.0.0.1:8000/v2/models/flights"
            )
        self._path = self._place.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._connection = _connection(self._place.scheme, self._place.hostname, self._place.port, ca, timeout_s)

    def predict(self, rows: Sequence[Mapping[str, Any]]) -> list[float]:
        """The probability for each row of raw columns; None is a missing value. Raises AccessError, SpecError, WorkError."""
        answer = self._ask("POST", f"{self._path}/infer", json.dumps(body(rows), allow_nan=False).encode())
        return [float(value) for value in answer["outputs"][0]["data"]]

    def ready(self) -> bool:
        """Whether the model answers now."""
        try:
            return bool(self._ask("GET", f"{self._path}/ready")["ready"])
        except WorkError:
            return False

    def metadata(self) -> dict[str, Any]:
        """The model's name, version, inputs and output."""
        return self._ask("GET", self._path)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _ask(self, method: str, path: str, sent: bytes | None = None) -> dict[str, Any]:
        try:
            status, answer = self._once(method, path, sent)
        except GONE:
            status, answer = 503, b""
        if status in AGAIN:
            status, answer = self._last(method, path, sent)
        return _read(self._place.netloc, status, answer)

    def _last(self, method: str, path: str, sent: bytes | None) -> tuple[int, bytes]:
        try:
            return self._once(method, path, sent)
        except GONE as error:
            said = str(error) or type(error).__name__
            raise WorkError(f"{self._place.netloc} does not answer: {said}", hint="mlray status shows what is deployed") from error

    def _once(self, method: str, path: str, sent: bytes | None) -> tuple[int, bytes]:
        try:
            self._connection.request(method, path, sent, self._headers)
            response = self._connection.getresponse()
            return response.status, response.read()
        except ssl.SSLCertVerificationError as error:
            self._connection.close()
            raise AccessError(f"{self._place.netloc} cannot be trusted: {error.verify_message}", hint="pass its authority as ca") from error
        except GONE:
            self._connection.close()
            raise


def body(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The request for some rows: one tensor for each column of the first. Raises SpecError when rows differ in columns."""
    if not rows:
        raise SpecError("there are no rows to predict")
    for i, row in enumerate(rows):
        if row.keys() != rows[0].keys():
            other = sorted(set(row) ^ set(rows[0]))
            raise SpecError(f"row {i} differs from the first in {', '.join(map(str, other))}", hint="write None for a missing value")
    return {"inputs": [_tensor(name, [row[name] for row in rows]) for name in rows[0]]}


def curl(url: str, row: Mapping[str, Any]) -> str:
    """The shell command that asks for one row. It reads the token from MLRAY_TOKEN: a command line is seen by everyone."""
    sent = shlex.quote(json.dumps(body([row]), allow_nan=False, separators=(",", ":")))
    return f"""curl -s {shlex.quote(url.rstrip("/") + "/infer")} -H "Authorization: Bearer $MLRAY_TOKEN" -d {sent}"""


def _tensor(name: str, values: list[Any]) -> dict[str, Any]:
    kinds = {type(value) for value in values} - {type(None)}
    datatype = "INT64" if kinds == {int} else "FP64" if kinds <= {int, float} else "BYTES"
    return {"name": name, "shape": [len(values)], "datatype": datatype, "data": values}


def _connection(scheme: str, host: str, port: int | None, ca: Path | str | None, timeout_s: float) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
    except OSError as error:
        raise SpecError(f"{ca} cannot be read as certificates: {error}") from error
    return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)


def _read(place: str, status: int, answer: bytes) -> dict[str, Any]:
    try:
        told = json.loads(answer)
    except ValueError:
        told = {}
    reason = told.get("error", "") if isinstance(told, dict) else ""
    if status == 200 and isinstance(told, dict):
        return told
    if status in (401, 403):
        raise AccessError(f"{place} refuses the token: {reason}", hint="mlray token create makes one")
    if 400 <= status < 500 and reason:
        raise SpecError(f"{place} refuses the request: {reason}")
    raise WorkError(f"{place} answers {status}{f': {reason}' if reason else ''}", hint="mlray status shows what is deployed")
