"""Scaling: load + room -> how many replicas, and why. Load has to last before it counts; the room counts at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any


@dataclass(frozen=True, slots=True)
class Room:
    """How few and how many replicas there may be now, and why: an allowance as the governor tells it."""

    floor: int
    ceiling: int
    reason: str = ""

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Room:
        return cls(int(told["floor"]), int(told["ceiling"]), str(told["reason"]))

    def clamp(self, replicas: int) -> int:
        return max(self.floor, min(replicas, self.ceiling))


@dataclass(frozen=True, slots=True)
class Pace:
    """Requests one replica should have in progress, and how long load must stay high or low (seconds)."""

    target: float
    up_after: float
    down_after: float


@dataclass(frozen=True, slots=True)
class Steady:
    """Since when the load has been calling for more replicas, or for fewer (Unix time; None: it is not)."""

    high_since: float | None = None
    low_since: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """How many replicas there should be, why, and what to remember until the next look."""

    replicas: int
    reason: str
    steady: Steady


def desired(load: float, current: int, room: Room | None, last: Room, pace: Pace, steady: Steady, now: float) -> Decision:
    """How many replicas from now on. `load` is requests in progress, `current` the replicas asked for so far.

    `room` is None when nobody answers for the money: then `last`'s floor is held and nothing grows beyond what there is.
    """
    if room is None:
        room = Room(last.floor, max(last.floor, min(current, last.ceiling)), "no answer from the governor: nothing grows")
    wanted = ceil(load / pace.target - 1e-9)
    if room.clamp(current) != current:
        return Decision(room.clamp(current), f"{current} is outside {room.floor}..{room.ceiling}: {room.reason}", Steady())
    target = room.clamp(wanted)
    held = f" ({wanted} wanted, {room.floor}..{room.ceiling} allowed: {room.reason})" if target != wanted else ""
    if target == current:
        return Decision(current, f"{load:.1f} requests in progress{held}", Steady())
    return _waited(target, current, f"{load:.1f} requests in progress want {wanted}{held}", pace, steady, now)


def _waited(target: int, current: int, reason: str, pace: Pace, steady: Steady, now: float) -> Decision:
    up = target > current
    begun = steady.high_since if up else steady.low_since
    since = now if begun is None else begun
    kept = Steady(high_since=since) if up else Steady(low_since=since)
    patience = pace.up_after if up else pace.down_after
    if now - since < patience:
        return Decision(current, f"{reason}, for {now - since:.0f} of {patience:.0f} s", kept)
    return Decision(target, reason, Steady())
