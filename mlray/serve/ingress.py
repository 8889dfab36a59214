"""Ingress: the ASGI application of one deployment: path -> gate -> protocol -> predictor -> answer.

Plain ASGI, without a framework: on this path a framework's routing and models cost more than the prediction. What it
needs of the world (tokens, clock, timer, a thread for large batches) is given to it, so tests call it as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np

from mlray.access.spec import Action
from mlray.serve import gate, protocol
from mlray.serve.gate import Known, LetIn, Limits, TurnedAway
from mlray.serve.predictor import Predictor
from mlray.serve.protocol import InferRequest, Malformed

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = dict[bytes, bytes]

# Above this many rows a prediction takes milliseconds: done in a thread, so that other requests go on meanwhile.
ROWS_AT_ONCE = 64
LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. `rows` counts predicted ones."""

    status: int
    body: bytes
    rows: int = 0
    allow: str = ""


class Surroundings(Protocol):
    """What an ingress needs of the world around it."""

    def known(self) -> Known: ...

    def fresher(self) -> Awaitable[Known]: ...

    def moment(self) -> datetime: ...

    def timer(self) -> float: ...

    def aside(self, work: Callable[[], np.ndarray]) -> Awaitable[np.ndarray]: ...

    def tell(self, answer: Answer, seconds: float) -> None: ...


class Ingress:
    """One deployment's application. `name` is in its URLs, `version` in its answers."""

    def __init__(self, name: str, version: str, predictor: Predictor, limits: Limits, around: Surroundings) -> None:
        self.name, self.version, self.limits = name, version, limits
        self._predictor, self._around = predictor, around

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await _lifespan(receive, send)
        if scope["type"] != "http":
            return None
        began = self._around.timer()
        try:
            answer = await self._answer(scope, receive)
        except Exception:
            LOG.exception("a request failed")
            answer = Answer(500, protocol.error("the request failed here; it is in the replica's log"))
        await _send(answer, send)
        return self._around.tell(answer, self._around.timer() - began)

    async def _answer(self, scope: Message, receive: Receive) -> Answer:
        path = scope["path"][len(scope.get("root_path", "")) :].rstrip("/")
        if path in ("/v2/health/live", "/v2/health/ready"):
            return Answer(200, protocol.encode({path.rpartition("/")[2]: True}))
        headers: Headers = dict(scope["headers"])
        infer = path == f"/v2/models/{self.name}/infer"
        entry = await self._enter(headers.get(b"authorization", b"").decode("latin-1"), Action.PREDICT if infer else Action.STATUS)
        if isinstance(entry, TurnedAway):
            return _turned(entry)
        if scope["method"] != ("POST" if infer else "GET"):
            return Answer(405, protocol.error(f"send {path or '/'} as {'POST' if infer else 'GET'}"), allow="POST" if infer else "GET")
        return await self._infer(headers, receive) if infer else self._about(path)

    async def _enter(self, authorization: str, action: Action) -> LetIn | TurnedAway:
        """A token that was made a moment ago is accepted at once."""
        known = self._around.known()
        if gate.may_be_new(authorization, known):
            known = await self._around.fresher()
        return gate.enter(authorization, action, self.name, known, self._around.moment())

    def _about(self, path: str) -> Answer:
        if path == "/v2":
            return Answer(200, protocol.server_metadata())
        if path == f"/v2/models/{self.name}":
            return Answer(200, protocol.model_metadata(self.name, self.version, self._predictor.inputs))
        if path == f"/v2/models/{self.name}/ready":
            return Answer(200, protocol.encode({"name": self.name, "ready": True}))
        return Answer(404, protocol.error(f"nothing is here; the model is /v2/models/{self.name}"))

    async def _infer(self, headers: Headers, receive: Receive) -> Answer:
        if headers.get(b"content-encoding", b"identity") != b"identity":
            return Answer(415, protocol.error("send the body uncompressed"))
        body = await self._body(headers, receive)
        if isinstance(body, TurnedAway):
            return _turned(body)
        request = protocol.read_request(body)
        if isinstance(request, Malformed):
            return Answer(400, protocol.error(request.reason))
        if over := gate.too_many(request.rows, self.limits):
            return _turned(over)
        return await self._predict(request)

    async def _predict(self, request: InferRequest) -> Answer:
        def work() -> np.ndarray:
            return self._predictor.predict(request.columns)

        try:
            found = work() if request.rows <= ROWS_AT_ONCE else await self._around.aside(work)
        except ValueError as wrong:
            return Answer(400, protocol.error(str(wrong)))
        return Answer(200, protocol.response(self.name, self.version, request.id, found.tolist()), request.rows)

    async def _body(self, headers: Headers, receive: Receive) -> bytes | TurnedAway:
        """Refused by its declared length before it is read, and by its real one as it comes."""
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and (over := gate.too_large(int(declared), self.limits)):
            return over
        chunks: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if over := gate.too_large(size, self.limits):
                return over
            more = bool(message.get("more_body", False))
        return b"".join(chunks)


def _turned(away: TurnedAway) -> Answer:
    return Answer(away.status, protocol.error(away.reason))


async def _send(answer: Answer, send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer.body)).encode()), (b"cache-control", b"no-store")]
    if answer.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if answer.status == 503:
        headers.append((b"retry-after", b"1"))
    if answer.allow:
        headers.append((b"allow", answer.allow.encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        stage = (await receive())["type"].rpartition(".")[2]
        await send({"type": f"lifespan.{stage}.complete"})
        if stage == "shutdown":
            return
