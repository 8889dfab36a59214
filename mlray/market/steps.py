"""Steps: the rules a piece of deadline work lives by, one tick at a time. Replays, the guard and the plan all use these.

A tick is paid whole at the price of the machine that was chosen for it. A launch, or a change of machine, begins a delay in which the
machine is paid for and nothing is done. Spot is taken away between ticks. All lengths here are in ticks, and need not be whole.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from math import floor

EPS = 1e-6  # of a tick: what counts as nothing left


class Choice(StrEnum):
    WAIT = "wait"
    ON_DEMAND = "on-demand"
    SPOT = "spot"


@dataclass(frozen=True, slots=True)
class Task:
    """Work of one node with a deadline, both in hours from the first tick; `on_demand` is in dollars an hour.

    The deadline is counted in whole ticks, downwards. `margin_h` is kept in reserve on top: live, where a machine can be lost within a
    tick and a launch may take longer than usual, give at least one tick.
    """

    work_h: float
    deadline_h: float
    delay_h: float
    tick_s: float
    on_demand: float
    margin_h: float = 0.0

    def __post_init__(self) -> None:
        if min(self.work_h, self.deadline_h, self.tick_s) <= 0 or min(self.delay_h, self.margin_h, self.on_demand) < 0:
            raise ValueError(f"{self}: work, deadline and tick are above zero; delay, margin and price not below it")

    def ticks_of(self, hours: float) -> float:
        return hours * 3600.0 / self.tick_s

    @property
    def ticks(self) -> int:
        """Whole ticks until the deadline."""
        return floor(self.ticks_of(self.deadline_h) + EPS)

    @property
    def work(self) -> float:
        return self.ticks_of(self.work_h)

    @property
    def delay(self) -> float:
        return self.ticks_of(self.delay_h)

    @property
    def margin(self) -> float:
        return self.ticks_of(self.margin_h)

    def price(self, per_hour: float) -> float:
        """Dollars for a tick."""
        return per_hour * self.tick_s / 3600.0

    def start(self) -> Standing:
        return Standing(self.ticks, self.work)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the work stands before a tick: ticks until the deadline, of work left, the machine and what is left of its delay."""

    time: int
    left: float
    on: Choice = Choice.WAIT
    zone: str = ""
    pending: float = 0.0

    @property
    def done(self) -> bool:
        return self.left <= EPS

    @property
    def spare(self) -> float:
        """Ticks that need not be worked."""
        return self.time - self.left


def taken(standing: Standing, up: Collection[str]) -> Standing:
    """What is left of it at the beginning of a tick in which spot is up in these zones only."""
    if standing.on is not Choice.SPOT or standing.zone in up:
        return standing
    return replace(standing, on=Choice.WAIT, zone="", pending=0.0)


def advance(task: Task, standing: Standing, choice: Choice, zone: str = "") -> Standing:
    """After one tick of a choice that can be had. `zone` is the zone of spot, and "" otherwise."""
    if choice is Choice.WAIT:
        return Standing(standing.time - 1, standing.left)
    stays = choice is standing.on and zone == standing.zone
    pending = standing.pending if stays else task.delay
    done = max(1.0 - pending, 0.0)
    return Standing(standing.time - 1, max(standing.left - done, 0.0), choice, zone, max(pending - 1.0, 0.0))
