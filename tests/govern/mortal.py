"""A governor in a process of its own, over a small world that outlives it, which is killed at any point and started again."""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlray.clock import VirtualClock
from mlray.govern.actions import Action, Notify
from mlray.govern.loop import Governor
from mlray.govern.snapshot import Watched
from mlray.govern.store import GovernStore
from mlray.ledger.entry import Cause
from mlray.ledger.store import LedgerStore
from mlray.market.offer import Offer
from mlray.market.spec import Capacity, Interruptions
from mlray.policy.spec import Policy
from mlray.units import Duration, Money, Price
from tests.govern.small import Served, SmallWorld, hold, searching

START = datetime(2026, 11, 22, tzinfo=UTC)
OFFER = Offer("spot", "a", Capacity.SPOT, Price.parse("$7.77/h"), 2, Interruptions(every=Duration(14400), recovery=Duration(30)))
TICK_S = 10.0
POLICIES = tuple(
    Policy.model_validate(
        {
            "kind": "policy",
            "name": name,
            "governs": governs,
            "availability": {"min_ready": 1, "replicas": "1..6", "target": "99%"},
            "budget": {"amount": amount, "every": "5m", "when_short": {"serve": when_short}},
        }
    )
    for name, amount, when_short, governs in (
        ("hard", "$0.60", "stop", {"deployments": ["hard*"], "clusters": ["local"]}),
        ("soft", "$0.40", "keep-floor", {"deployments": ["soft*"], "jobs": ["*"]}),
    )
)


@dataclass
class Lasting:
    """The small world on disk: what was applied stays applied, whoever dies."""

    file: Path
    world: SmallWorld

    def __getattr__(self, name: str) -> Any:
        return getattr(self.world, name)

    def apply(self, action: Action) -> None:
        self.world.apply(action)
        self.save()

    def save(self) -> None:
        draft = self.file.with_suffix(".draft")
        draft.write_bytes(pickle.dumps(self.world))
        draft.replace(self.file)


class Doomed:
    """Hands calls on, and kills its process before or after the one whose number has come."""

    def __init__(self, inner: Any, step: Callable[[str], None]) -> None:
        self._inner, self._step = inner, step

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)

        def call(*given: Any, **named: Any) -> Any:
            self._step(name)
            answer = found(*given, **named)
            self._step("")
            return answer

        return call if callable(found) else found


class Doubting(LedgerStore):
    """What is wrong on purpose: it does not say what is charged already."""

    def charged(self, items: Any) -> dict[str, Any]:
        return {}


class Careless(GovernStore):
    """What is wrong on purpose: it does not look for what was begun and has no outcome."""

    def open(self) -> tuple[Any, ...]:
        return ()


STORES = {"careless": Careless}
LEDGERS = {"doubting": Doubting}


def create(folder: Path) -> None:
    """The world at its beginning."""
    waves = {"hard": (2, 5, 6, 6, 3, 1), "soft": (1, 2, 4, 6, 2)}
    served = tuple(
        Served(Watched(name, policy, 0.5, "any", Cause("serve", name, policy.name)), waves[name])
        for name, policy in zip(("hard", "soft"), POLICIES, strict=True)
    )
    search = searching("s", "soft", (3.0, 1.0, 2.0), Money.parse("$0.90"))
    world = SmallWorld(OFFER, served, {"s": search}, now=START, machines=True)
    url = f"sqlite:///{folder}/mlray.db"
    LedgerStore(url).append(hold(search, Money.parse("$0.30"), START))
    for one in served:
        GovernStore(url, "local").watch(one.watched)
    Lasting(folder / "world", world).save()


def live(folder: str, looks: int, at_look: int, steps: int | None, seconds: float, fault: str, call: str = "") -> None:
    """Governs until the world has turned so often; at the look of that number it dies, after so many steps or (None) so many seconds.

    Given a call, it dies before the first one of that name instead.
    """
    left: list[int] = []

    def step(name: str) -> None:
        if call:
            if name == call and world.world.look >= at_look:
                os.kill(os.getpid(), signal.SIGKILL)
        elif world.world.look >= at_look and not left and steps is None:
            left.append(1_000_000)
            threading.Timer(seconds, os.kill, [os.getpid(), signal.SIGKILL]).start()
        elif world.world.look >= at_look and not left:
            left.append(steps or 0)
        elif left:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    world = Lasting(Path(folder) / "world", pickle.loads((Path(folder) / "world").read_bytes()))
    url, clock = f"sqlite:///{folder}/mlray.db", VirtualClock(world.world.now)
    ledger, store = Doomed(LEDGERS.get(fault, LedgerStore)(url), step), Doomed(STORES.get(fault, GovernStore)(url, "local"), step)
    told = Path(folder) / "told"

    def tell(notice: Notify) -> None:
        with told.open("a") as file:
            file.write(notice.key + "\n")

    governor = Governor(Doomed(world, step), ledger, store, clock, policies=lambda: POLICIES, tell=tell, tick_s=TICK_S)
    while world.world.look < looks:
        governor.tick()
        charges = world.world.turn(TICK_S)
        ledger.append(*charges)
        world.save()
        step("")
        clock.sleep(TICK_S)
    governor.tick(charge_all=True)
    world.world.noted()
    world.save()


def nursery() -> None:
    """Bears a governor for each line it reads, and tells how it ended: 0 in peace, -9 by a kill."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            live(**json.loads(line))
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    nursery()
