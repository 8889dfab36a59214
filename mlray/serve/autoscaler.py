"""Autoscaler: what Ray Serve calls about five times a second to learn how many replicas a deployment should have.

It runs inside Serve's controller, which every other deployment waits for: it must never block. The allowance is fetched
by a thread of its own; the decision is `scaling.desired`.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from typing import Any

from mlray.serve.load import Window
from mlray.serve.scaling import Pace, Room, Steady, desired

GOVERNOR, NAMESPACE = "mlray-governor", "mlray"
ASK_EVERY_S, ANSWER_WITHIN_S = 1.0, 2.0
# An allowance older than this is no answer: the governor may be gone while the money goes on being spent.
HOLDS_S = 15.0


class Autoscaler:
    """The policy of one deployment. `floor` and `ceiling` hold until the governor first answers."""

    def __init__(self, deployment: str, floor: int, ceiling: int, target: float, window_s: float, up_s: float, down_s: float) -> None:
        self._told = Told(deployment, Room(floor, ceiling, "as it was deployed"))
        self._window, self._pace, self._steady = Window(window_s), Pace(target, up_s, down_s), Steady()
        self._said = ""
        threading.Thread(target=_keep_asking, args=[weakref.ref(self._told)], daemon=True, name="mlray-allowance").start()

    def __call__(self, context: Any) -> tuple[int, dict[str, Any]]:
        now = time.time()
        load = self._window.add(now, float(context.total_num_requests))
        room, last = self._told.now(time.monotonic())
        decision = desired(load, context.target_num_replicas, room, last, self._pace, self._steady, now)
        self._steady = decision.steady
        if decision.replicas != context.target_num_replicas and decision.reason != self._said:
            self._said = decision.reason
            logging.getLogger("ray.serve").info("%s: %d replicas: %s", self._told.deployment, decision.replicas, decision.reason)
        return decision.replicas, {"reason": decision.reason}


class Told:
    """What the governor last said of one deployment, and when (monotonic seconds)."""

    def __init__(self, deployment: str, first: Room) -> None:
        self.deployment = deployment
        self._last, self._at, self._answered = first, time.monotonic(), False

    def hear(self, room: Room) -> None:
        self._last, self._at, self._answered = room, time.monotonic(), True

    def now(self, at: float) -> tuple[Room | None, Room]:
        """The room that holds now (None: nobody answers any more), and the last one there was."""
        return (self._last if at - self._at <= HOLDS_S else None), self._last


def _keep_asking(told: weakref.ref[Told]) -> None:
    """Ends with the autoscaler it asks for."""
    governor = None
    while (listener := told()) is not None:
        try:
            governor = governor or _governor()
            listener.hear(_ask(governor, listener.deployment))
        except Exception:  # an actor that is gone, slow or does not know the deployment: all are no answer
            governor = None
        del listener
        time.sleep(ASK_EVERY_S)


def _governor() -> Any:
    import ray

    return ray.get_actor(GOVERNOR, namespace=NAMESPACE)


def _ask(governor: Any, deployment: str) -> Room:
    import ray

    return Room.read(ray.get(governor.allowance.remote(deployment), timeout=ANSWER_WITHIN_S))
