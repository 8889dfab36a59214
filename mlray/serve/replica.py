"""Replica: what one Serve replica holds: the opened model, the token records, the meters, and the ingress over them.

An edge: it opens the vault, reads the database and the clock, and counts for Prometheus. It chooses nothing.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from ray.serve import metrics

from mlray.access.store import TokenStore
from mlray.clock import SystemClock
from mlray.errors import StoreError
from mlray.serve.door import Opening
from mlray.serve.gate import Known, Limits
from mlray.serve.ingress import Answer, Ingress
from mlray.serve.predictor import Predictor
from mlray.vault.store import VaultAddress

# A revoked token is turned away after this long at most.
READ_TOKENS_EVERY_S = 2.0
READ_TOKENS_PAUSE_S = 0.05
FLUSH_EVERY_S = 1.0
LATENCY_S = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0]


@dataclass(frozen=True, slots=True)
class Offer:
    """All that a replica is told. It travels through Serve's controller, so it holds addresses and no secret.

    The door is part of it: when the door changes, replicas are replaced, and Serve's HAProxy reads its doors again.
    """

    deployment: str
    model: str
    digest: str
    vault: VaultAddress
    database: str
    limits: Limits
    door: Opening


class Replica:
    """The class Serve makes replicas of. Its ASGI application is asked for once, after it is made."""

    def __init__(self, offer: Offer) -> None:
        """Raises TamperError or KeyringError before XGBoost's parser sees a byte that is not what was signed."""
        vault = offer.vault.open()
        model = vault.find_model(offer.model, offer.digest)
        predictor = Predictor.open(vault.open_model(model))
        around = Around(offer.deployment, offer.database)
        self._ingress = Ingress(offer.deployment, str(model), predictor, offer.limits, around)

    def __serve_build_asgi_app__(self) -> Ingress:
        return self._ingress


class Around:
    """The surroundings of an ingress: token records kept fresh by a thread, meters flushed by another."""

    def __init__(self, deployment: str, database: str) -> None:
        self._clock, self._store = SystemClock(), TokenStore(database)
        self._known = Known(self._store.records(), self._clock.now())
        self._reading, self._read_at = threading.Lock(), time.monotonic()
        self._meters = Meters(deployment)
        _every(READ_TOKENS_EVERY_S, self._read_tokens)
        _every(FLUSH_EVERY_S, self._meters.flush)

    def known(self) -> Known:
        return self._known

    async def fresher(self) -> Known:
        """Strangers with made-up tokens cannot make it read more often than the pause allows."""
        await asyncio.to_thread(self._catch_up)
        return self._known

    def moment(self) -> datetime:
        return self._clock.now()

    def timer(self) -> float:
        return time.perf_counter()

    def aside(self, work: Callable[[], np.ndarray]) -> Awaitable[np.ndarray]:
        return asyncio.to_thread(work)

    def tell(self, answer: Answer, seconds: float) -> None:
        self._meters.add(answer.status, answer.rows, seconds)

    def _catch_up(self) -> None:
        """Reads again unless another thread has since this call. However many wait, there is one read a pause."""
        called = time.monotonic()
        with self._reading:
            if self._read_at < called:
                time.sleep(max(0.0, self._read_at + READ_TOKENS_PAUSE_S - called))
                self._read_tokens()

    def _read_tokens(self) -> None:
        try:
            self._known = Known(self._store.records(), self._clock.now())
        except StoreError as error:
            logging.getLogger("ray.serve").warning("%s", error.message)
        self._read_at = time.monotonic()


class Meters:
    """Requests, rows and seconds, counted in plain numbers on the request's path and told to Ray once a second.

    Ray exports them from every node under `ray_` + the name, with the tags below and Serve's own (deployment, replica,
    application).
    """

    def __init__(self, deployment: str) -> None:
        self._tags = {"served": deployment}
        self._requests = metrics.Counter("mlray_requests_total", "Answered requests, by HTTP status.", ("served", "code"))
        self._rows = metrics.Counter("mlray_rows_total", "Predicted rows.", ("served",))
        self._seconds = metrics.Histogram("mlray_request_seconds", "From the request's head to its answer.", LATENCY_S, ("served",))
        self._waiting: list[tuple[int, int, float]] = []

    def add(self, status: int, rows: int, seconds: float) -> None:
        self._waiting.append((status, rows, seconds))

    def flush(self) -> None:
        told, self._waiting = self._waiting, []
        codes: dict[int, int] = {}
        for status, _, seconds in told:
            codes[status] = codes.get(status, 0) + 1
            self._seconds.observe(seconds, self._tags)
        for status, count in codes.items():
            self._requests.inc(count, {**self._tags, "code": str(status)})
        if rows := sum(rows for _, rows, _ in told):
            self._rows.inc(rows, self._tags)


def _every(seconds: float, do: Callable[[], None]) -> None:
    def loop() -> None:
        while True:
            time.sleep(seconds)
            try:
                do()
            except Exception:
                logging.getLogger("ray.serve").exception("a replica's background work failed")

    threading.Thread(target=loop, daemon=True).start()
