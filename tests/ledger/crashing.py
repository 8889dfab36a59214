"""A writer of the ledger that is killed again and again: `python -m tests.ledger.crashing URL ROUNDS SEED HOW KEYS`.

Each life of the writer is a process of its own, forked from this one. It does one step after the other, says so when a step
is done, and is killed: by the clock, at a random event of its own code, or when a step is done and before it says so. The next
one does first what the one before was not known to have done. Prints how many steps are known to be done.
"""

from __future__ import annotations

import os
import random
import select
import signal
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import FrameType

from mlray.ledger.entry import Cause, Charge, Entry, Reservation, Return, Usage
from mlray.ledger.nodes import NodeLife, charged_to, node_charges
from mlray.ledger.store import LedgerStore
from mlray.units import Money, Price

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LIFE = NodeLife("n1", "spot-2", "spot", ((NOON, Price.parse("$1.23/h")),), NOON, Cause("cluster", "prod", "flights"))
KINDS = 4  # append, reserve, return, settle
EVENTS = 4000  # about twice as many as a step has


def cause(step: int) -> Cause:
    return Cause("tune", "search", "flights", f"run-{step // KINDS}", f"t{step % 3}", tags=(("team", "ab"[step % 2]),))


def charges(step: int, keys: str = "keys") -> tuple[Charge, ...]:
    """What a step of this kind books. Without keys of their own, events get a new one whenever they are booked."""
    at = NOON + timedelta(minutes=7 * step)
    own = [f"{step}/{i}" if keys == "keys" else uuid.uuid4().hex for i in range(3)]
    return tuple(Charge(key, at, Money(1000 + step), cause(step), Usage("spot-2", "spot", 5.0, 0.5)) for key in own)


def reservation(step: int) -> Reservation:
    return Reservation(f"hold/{step // KINDS}", NOON, Money(10**6), cause(step - step % KINDS), None)


def now_of(step: int) -> datetime:
    return NOON + timedelta(seconds=20 * step)


def do(store: LedgerStore, step: int, keys: str) -> None:
    match step % KINDS:
        case 0:
            store.reserve(reservation(step).key, "flights", NOON, lambda seen: reservation(step))
        case 1:
            store.append(*charges(step, keys))
        case 2:
            store.append(*charges(step, keys), Return(f"back/{step // KINDS}", NOON, reservation(step).key, cause(step)))
        case _:
            store.settle([LIFE.item], lambda known: due(known.get(LIFE.item), step))


def due(known: object, step: int) -> tuple[Entry, ...]:
    since = charged_to(known.until) if known else None  # type: ignore[attr-defined]
    return node_charges(LIFE, since, now_of(step), 15.0)


def live(url: str, first: int, how: str, rng: random.Random, keys: str, said: int) -> None:
    """One life of the writer, from its first step to its death."""
    store = LedgerStore(url)
    if how == "event":
        sys.setprofile(_after(rng.randrange(EVENTS)))
    last = first + rng.randrange(3) if how == "reply" else -1
    for step in range(first, first + 1000):
        do(store, step, keys)
        if step == last:
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(said, f"{step}\n".encode())


def _after(events: int) -> Callable[[FrameType, str, object], None]:
    left = [events]

    def count(frame: FrameType, event: str, given: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return count


def one_round(url: str, first: int, how: str, rng: random.Random, keys: str) -> int:
    """Forks a writer, sees it die, and answers with the step after the last one it is known to have done."""
    heard, said = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            live(url, first, how, rng, keys, said)
        os._exit(1)
    os.close(said)
    text = b""
    if how == "clock":
        until, deadline = rng.randrange(4), None
        while deadline is None or time.perf_counter() < deadline:
            ready, _, _ = select.select([heard], [], [], 0.0002 if deadline else 20)
            text += os.read(heard, 4096) if ready else b""
            if deadline is None and text.count(b"\n") >= until:
                deadline = time.perf_counter() + rng.random() * 0.02
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    while more := os.read(heard, 4096):
        text += more
    os.close(heard)
    if not os.WIFSIGNALED(status):
        sys.exit(f"the writer ended by itself: {status}")
    done = [int(line) for line in text.decode().split("\n")[:-1]]
    return done[-1] + 1 if done else first


def main(url: str, rounds: str, seed: str, how: str, keys: str) -> None:
    rng, step = random.Random(int(seed)), 0
    for number in range(int(rounds)):
        step = one_round(url, step, how if how != "any" else ("clock", "event", "reply")[number % 3], random.Random(rng.random()), keys)
    print(step)


if __name__ == "__main__":
    main(*sys.argv[1:])
