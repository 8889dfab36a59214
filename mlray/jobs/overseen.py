"""Overseen: a run while it is under government. It says that it lives, shows what it does, and hears its orders.

An edge: a thread of its own talks to the register, so that the work never waits for the database.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from types import TracebackType

from mlray.clock import Clock
from mlray.errors import RefusedError, StoreError
from mlray.govern.register import Register
from mlray.govern.snapshot import Running
from mlray.policy.spec import Policy
from mlray.tune.orders import NONE, Orders

# How often orders are read; what the run does is written half as often, for a write is a flush to the disk.
EVERY_S = 0.5
Tell = Callable[[], tuple[Running, frozenset[str]]]


class Overseen:
    """Under government while it is entered. `tell` gives what the run is now and which nodes it is known to work on, in the thread.

    Where the register cannot be read the last orders stand; the ledger, which is in the same database, then stops the work.
    """

    def __init__(self, register: Register, policy: Policy, tell: Tell, clock: Clock, every_s: float = EVERY_S) -> None:
        self._register, self._policy, self._tell, self._clock, self._every_s = register, policy, tell, clock, every_s
        self._run, self._orders, self._ended = tell()[0].run, NONE, threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True, name="overseen")

    @property
    def orders(self) -> Orders:
        """The newest; never waits."""
        return self._orders

    def go_on(self) -> None:
        """Raises RefusedError once the run has been told to stop."""
        if self._orders.stop:
            raise RefusedError(f"{self._run} was stopped: {self._orders.stop}", hint="raise the budget, or wait for its next window")

    def __enter__(self) -> Overseen:
        self._speak()
        self._hear()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        with suppress(StoreError):  # it falls silent instead
            self._register.leave(self._run)

    def _follow(self) -> None:
        speaks = cycle((False, True))
        while not self._ended.wait(self._every_s):
            self._hear()
            if next(speaks):
                self._speak()

    def _speak(self) -> None:
        with suppress(StoreError):
            running, places = self._tell()
            self._register.enter(running, self._policy, self._clock.now(), places)

    def _hear(self) -> None:
        with suppress(StoreError):
            self._orders = self._register.orders(self._run)
