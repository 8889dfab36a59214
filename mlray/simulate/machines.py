"""Machines: the nodes of a replay, which start, are announced to go, are taken away and are stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from mlray.market.fleet import Slot
from mlray.market.offer import Offer
from mlray.simulate.scenario import Notices
from mlray.simulate.supply import Supply


@dataclass(slots=True, eq=False)
class Machine:
    """A node of a replay. `ready_at` and `goes_at` are ticks; `goes_at` is None while nobody has said that it goes.

    `tenant` is the deployment or the run/trial it was bought for. `announced` is whether the market said that it takes it; where that is
    false, and it goes, it was drained.
    """

    id: str
    tenant: str
    slot: Slot
    offer: Offer
    begun: datetime
    ready_at: int
    ready: bool = False
    goes_at: int | None = None
    announced: bool = False

    @property
    def state(self) -> str:
        return "draining" if self.goes_at is not None else "running" if self.ready else "starting"


@dataclass(frozen=True, slots=True)
class Taken:
    """What happened as a tick began: machines the market took (`lost`), whether any machine changed, and whether any price did."""

    lost: tuple[Machine, ...] = ()
    changed: bool = False
    repriced: bool = False


NOTHING = Taken()


class Machines:
    """All machines of a replay, by tenant. Nothing is decided here but by the trace and by chance."""

    def __init__(self, supply: Supply, notices: Notices, cold_ticks: int, rng: np.random.Generator) -> None:
        self._supply, self._notices, self._rng = supply, notices, rng
        self._cold, self._ahead = cold_ticks, int(notices.ahead_s // supply.tick_s)
        self.offers = {vein.slot: vein.at(0) for vein in supply.veins}
        self._nodes = {vein.slot: vein.nodes.tolist() for vein in supply.veins}  # plain lists: read each tick
        self._falls = frozenset().union(*(vein.falls for vein in supply.veins))
        self.of: dict[str, list[Machine]] = {}
        self._held: Counter[Slot] = Counter()
        self._bought = 0
        self._due: set[int] = set()  # ticks at which a machine becomes ready or goes

    def __iter__(self) -> Iterator[Machine]:
        return (machine for machines in self.of.values() for machine in machines)

    def begin(self, tick: int) -> Taken:
        """What the market and time do as a tick begins; on a tick where nothing can happen it costs next to nothing."""
        told = tick + self._ahead in self._falls and self._announce(tick + self._ahead)
        repriced, falls = tick in self._supply.repriced, tick in self._falls
        if repriced:
            self._reprice(tick)
        if not (told or falls or tick in self._due):
            return Taken((), False, repriced) if repriced else NOTHING
        gone = [m for m in self if m.goes_at is not None and m.goes_at <= tick]
        self.stop(gone)
        lost = [m for m in gone if m.announced] + [m for slot in (tuple(self._held) if falls else ()) for m in self._take(slot, tick)]
        for machine in self:
            machine.ready = machine.ready or machine.ready_at <= tick
        self._due.discard(tick)
        return Taken(tuple(lost), True, repriced)

    def buy(self, tenant: str, slot: Slot, now: datetime, tick: int) -> Machine | None:
        """One node more, or None where the zone has none left. Its cold start begins now; a replay begins with warm nodes."""
        if slot not in self.offers or self._held[slot] >= self._nodes[slot][tick]:
            return None
        self._bought += 1
        ready_at = tick + (self._cold if tick else 0)
        machine = Machine(f"n{self._bought}", tenant, slot, self.offers[slot], now, ready_at, ready_at <= tick)
        self.of.setdefault(tenant, []).append(machine)
        self._held[slot] += 1
        self._due.add(machine.ready_at)
        return machine

    def stop(self, machines: Iterable[Machine]) -> None:
        for machine in machines:
            self.of[machine.tenant].remove(machine)
            self._held[machine.slot] -= 1

    def drain(self, machine: Machine, until: int) -> None:
        """Work leaves it, and it goes at the tick `until`; one that goes earlier anyway still does."""
        machine.goes_at = until if machine.goes_at is None else min(machine.goes_at, until)
        self._due.add(machine.goes_at)

    def _take(self, slot: Slot, tick: int) -> list[Machine]:
        """Which of those that nobody announced go is chance."""
        over = self._held[slot] - self._nodes[slot][tick]
        if over <= 0:
            return []
        here = [m for m in self if m.slot == slot]
        lost = [here[i] for i in self._rng.permutation(len(here))[:over]]
        self.stop(lost)
        return lost

    def _announce(self, then: int) -> bool:
        """Whether a notice reached anybody. Each node to be taken hears of it or not by a chance of its own."""
        told = False
        for slot, count in self._held.items() if self._ahead else ():
            over = count - (self._nodes[slot][then] if then < self._supply.ticks else count)
            if over <= 0:
                continue
            here = [m for m in self if m.slot == slot]
            for i in self._rng.permutation(len(here))[:over]:
                if self._rng.random() < self._notices.chance:
                    here[i].announced = told = True
                    self.drain(here[i], then)
        return told

    def _reprice(self, tick: int) -> None:
        fresh = {vein.slot: vein.at(tick) for vein in self._supply.repriced[tick]}
        self.offers |= fresh
        for machine in self:
            machine.offer = fresh.get(machine.slot, machine.offer)
