"""What master keys in a service have in common: how long to wait, what was opened lately, and how trouble is told."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from mlray.errors import KeyringError
from mlray.vault.keyring import KeyId

TIMEOUT_S = 5.0  # for one answer; a service far away answers within one
KEPT_S = 300.0
KEPT = 1000


@dataclass(frozen=True, slots=True)
class Place:
    """Which key, where: all that is said of it in messages. Holds no secret."""

    id: KeyId
    address: str

    def down(self, why: str) -> KeyringError:
        return KeyringError(
            f"master key {self.id}: {self.address} does not answer: {why}", hint="is the service up, and reachable from here?"
        )

    def late(self, seconds: float) -> KeyringError:
        return KeyringError(
            f"master key {self.id}: {self.address} did not answer within {seconds:g} s", hint="try again, or look at the service"
        )

    def absent(self) -> KeyringError:
        return KeyringError(
            f"master key {self.id}: {self.address} has no such key", hint="was it deleted, or is this another account or region?"
        )

    def forbidden(self) -> KeyringError:
        return KeyringError(
            f"master key {self.id}: {self.address} does not let these credentials use it", hint="ask its owner for the right"
        )

    def unusable(self, why: str) -> KeyringError:
        return KeyringError(
            f"master key {self.id} at {self.address} {why}", hint="restore it soon: what it wraps cannot be read without it"
        )


class Recent:
    """Secrets that a service opened lately, in this process alone: each call costs money and a round trip.

    At most `limit`, none longer than `seconds`. So a destroyed key may open for that much longer where it was just used.
    """

    def __init__(self, limit: int = KEPT, seconds: float = KEPT_S, now: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._seconds, self._now = limit, seconds, now
        self._kept: OrderedDict[tuple[str, bytes, str], tuple[float, bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: KeyId, ciphertext: bytes, purpose: str) -> bytes | None:
        with self._lock:
            until, secret = self._kept.get((key, ciphertext, purpose), (0.0, b""))
            return secret if secret and self._now() < until else None

    def put(self, key: KeyId, ciphertext: bytes, purpose: str, secret: bytes) -> None:
        with self._lock:
            now = self._now()
            self._kept[(key, ciphertext, purpose)] = (now + self._seconds, secret)
            while len(self._kept) > self._limit or next(iter(self._kept.values()))[0] <= now:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"Recent({len(self)} of {self._limit})"


RECENT = Recent()
