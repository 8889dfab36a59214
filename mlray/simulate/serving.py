"""Serving: one deployment of a replay. Load becomes replicas, replicas become nodes, nodes answer requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from mlray.govern.need import Ground, Words, need
from mlray.market.fleet import Held, Market, Need, Pool, Seen, Slot
from mlray.market.hazard import History, learn
from mlray.market.placement import Placement, place
from mlray.market.spec import Capacity
from mlray.policy.allowance import Allowance
from mlray.serve.load import Window
from mlray.serve.scaling import Room, Steady, desired
from mlray.simulate.machines import Machine, Machines
from mlray.simulate.scenario import Served
from mlray.simulate.service import answer
from mlray.simulate.track import Decision, Moment, Track

# A launch that one zone refuses is tried in others within the tick, as a cloud answers within seconds; so many times at most.
TRIES = 16
# Nothing is allowed while the governor has not said anything.
NOTHING = Allowance(0, 0, 1.0, "the governor has not looked yet")


class Serving:
    """A deployment under the virtual clock. What it decides is decided by `desired`, `need` and `place`."""

    def __init__(
        self, served: Served, machines: Machines, ground: Ground, rates: Sequence[float], tick_s: float, tell: Callable[[Decision], None]
    ) -> None:
        self.served, self._machines, self._ground = served, machines, ground
        self._rates, self._tick_s, self._tell = rates, tick_s, tell
        self._window, self._steady, self._wanted = Window(served.window_s), Steady(), 0
        self._queue = self._ongoing = 0.0
        self._room, self._allowed = Room(0, 0), NOTHING
        self._asked: tuple[object, ...] = ()
        self._need: Need | None = None
        self._history, self._placed = History(), None  # type: tuple[History, Placement | None]
        self._held: tuple[Held, ...] = ()
        self._ready = 0
        self.track = Track()

    @property
    def machines(self) -> list[Machine]:
        return self._machines.of.setdefault(self.served.name, [])

    def look(self, lost: Sequence[Machine]) -> None:
        """After machines changed: counts them anew. Requests in progress on nodes that went without a word went with them."""
        sudden = sum(m.ready for m in lost if not m.announced)
        broken = max(0.0, self._ongoing - self._queue) * sudden / self._ready if self._ready else 0.0
        self.track.lose(lost, broken)
        self._held, self._ready = _held(self.machines), sum(m.ready for m in self.machines)

    def step(
        self,
        tick: int,
        now: datetime,
        allowed: Allowance | None,
        words: tuple[Words, ...],
        pools: tuple[Pool, ...],
        lost: Sequence[Machine],
    ) -> bool:
        """One tick: scale, place, answer. Returns whether nodes were bought or stopped."""
        self._scale(tick, now, allowed)
        key = (words, self._allowed, self._wanted)
        if self._need is None or any(a is not b for a, b in zip(key[:2], self._asked, strict=False)) or key[2] != self._asked[2]:
            self._need, self._asked = need(words, self._allowed, self._wanted, self._ground), key
        moved = self._place(tick, now, self._need, pools, lost)
        self._answer(tick, max((w.promise.min_ready for w in words), default=0))
        return moved

    def _scale(self, tick: int, now: datetime, allowed: Allowance | None) -> None:
        """The load of the tick before stood for all of it: patience that is shorter than a tick ends within it."""
        if allowed is not None and allowed is not self._allowed:
            self._allowed, self._room = allowed, Room(allowed.floor, allowed.ceiling, allowed.reason)
        at, room = tick * self._tick_s, None if allowed is None else self._room
        load = self._window.add(at, self._ongoing)
        found = desired(load, self._wanted, room, self._room, self.served.pace, self._steady, at - self._tick_s)
        if found.steady != Steady():
            found = desired(load, self._wanted, room, self._room, self.served.pace, found.steady, at)
        if found.replicas != self._wanted:
            self._tell(Decision(now, "Scale", self.served.name, "", "", f"{self._wanted} to {found.replicas} replicas: {found.reason}"))
        self._wanted, self._steady = found.replicas, found.steady

    def _place(self, tick: int, now: datetime, asked: Need, pools: tuple[Pool, ...], lost: Sequence[Machine]) -> bool:
        at, moved = tick * self._tick_s, False
        short = self._ready < asked.ready
        taken = _by_zone(m for m in lost if m.slot.capacity is Capacity.SPOT) if lost else ()
        self._history = learn(self._history, Seen(at, _spot(self._held), taken, short=short, warned=sum(m.announced for m in lost)))
        for _ in range(TRIES):
            placed = place(asked, Market(at, pools, self._held), self._history, self._placed)
            if placed is self._placed:
                return moved
            self._placed = placed
            if not placed.launch and not placed.stop:
                return moved
            bought, refused = self._buy(placed, now, tick)
            if self._stop(placed) + bought:
                moved = True
                self._tell(Decision(now, "Place", self.served.name, "", "", placed.reason))
                self._held, self._ready = _held(self.machines), sum(m.ready for m in self.machines)
            if not refused:
                return moved
            self._history = learn(self._history, Seen(at, _spot(self._held), refused=refused, short=short))
        return moved

    def _buy(self, placed: Placement, now: datetime, tick: int) -> tuple[int, tuple[str, ...]]:
        """How many nodes were bought, and the zones that had no more spot for us; on-demand ends only where the cluster does."""
        bought, refused = 0, []
        for move in placed.launch:
            machines = [self._machines.buy(self.served.name, move.slot, now, tick) for _ in range(move.nodes)]
            had = [machine for machine in machines if machine is not None]
            self.track.cold_starts += sum(not machine.ready for machine in had)
            bought += len(had)
            refused += [move.slot.zone] if len(had) < len(machines) and move.slot.capacity is Capacity.SPOT else []
        return bought, tuple(refused)

    def _stop(self, placed: Placement) -> int:
        """How many were stopped; of a slot those go first that are furthest from ready."""
        stopped = 0
        for move in placed.stop:
            here = sorted((m for m in self.machines if m.slot == move.slot and m.goes_at is None), key=lambda m: -m.ready_at)
            self._machines.stop(here[: move.nodes])
            stopped += min(len(here), move.nodes)
        return stopped

    def _answer(self, tick: int, promised: int) -> None:
        per, rate = self._ground.per_node, self._rates[tick]
        got = answer(self.served.service, self._queue, rate, self._tick_s, self._ready * per)
        self._queue, self._ongoing = got.queue, got.ongoing
        broken, self.track.broken = self.track.broken, 0.0
        good = got.good - broken
        room, held = self._allowed, len(self.machines) * per
        self.track.moments.append(
            Moment(self._ready * per, held, self._wanted, room.floor, room.ceiling, promised, good, got.late, got.failed + broken)
        )


def _held(machines: Sequence[Machine]) -> tuple[Held, ...]:
    counts: dict[Slot, list[int]] = {}
    for m in machines:
        of = counts.setdefault(m.slot, [0, 0, 0])
        of[1 if m.ready else 0] += 1
        of[2] += m.goes_at is not None
    return tuple(Held(slot, *counts[slot]) for slot in sorted(counts))


def _spot(held: tuple[Held, ...]) -> tuple[tuple[str, int], ...]:
    return tuple((h.slot.zone, h.starting + h.ready) for h in held if h.slot.capacity is Capacity.SPOT)


def _by_zone(machines: Iterable[Machine]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(m.slot.zone for m in machines).items()))
