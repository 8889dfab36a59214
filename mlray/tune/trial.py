"""Trial, Report, TrialDecision: one attempt in a search, what it said so far, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from mlray.ledger.entry import Usage
from mlray.units import ZERO, Money, Price

Params = tuple[tuple[str, int | float], ...]
Point = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A configuration, and the move of the search that led to it.

    `point` is the configuration in the unit cube; `base` is the trial it was reached from ("" for a start), going
    along `direction`; `restart` counts the starts.
    """

    params: Params
    point: Point
    restart: int = 0
    base: str = ""
    direction: Point = ()

    def __getitem__(self, name: str) -> int | float:
        return dict(self.params)[name]


@dataclass(frozen=True, slots=True)
class Place:
    """The part of a node that a trial occupies, and what the whole node costs, here and on demand (None: unknown).

    `machine` is what the ledger calls the node.
    """

    node_type: str
    capacity: str
    share: float
    price: Price
    machine: str = ""
    on_demand: Price | None = None

    def usage(self, seconds: float) -> Usage:
        cluster = self.machine.partition("/")[0]
        return Usage(self.node_type, self.capacity, seconds, self.share, self.machine, cluster=cluster)


@dataclass(frozen=True, slots=True)
class Report:
    """What a trial said after `round` boosting rounds, and what the time since the report before it cost.

    `auc` is on the validation split; None in a beat, which is a charge and no checkpoint.
    """

    round: int
    auc: float | None
    cost: Money


class State(StrEnum):
    """PAUSED holds no node: the trial goes on from its last checkpoint once nobody holds it."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        return self in (State.DONE, State.STOPPED, State.FAILED)

    @property
    def spends(self) -> bool:
        """Whether it costs something now, or will as soon as a node takes it up."""
        return self in (State.WAITING, State.RUNNING)


@dataclass(frozen=True, slots=True)
class TrialDecision:
    """Whether a trial goes on, and why."""

    go_on: bool
    reason: str
    done: bool = False

    @property
    def state(self) -> State:
        return State.RUNNING if self.go_on else State.DONE if self.done else State.STOPPED


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration and its training. `losses` counts workers taken away under it.

    `place` is where it runs now; `booked` seconds of this attempt are charged, the last of them at `marked`. A paused trial
    has no place, and was paused at `marked`.
    """

    id: str
    proposal: Proposal
    state: State = State.WAITING
    reason: str = ""
    reports: tuple[Report, ...] = ()
    spent: Money = ZERO
    losses: int = 0
    place: Place | None = None
    booked: float = 0.0
    marked: datetime | None = None
    slices: int = 0

    @property
    def params(self) -> dict[str, int | float]:
        return dict(self.proposal.params)

    @property
    def rounds(self) -> int:
        """How many it is to run."""
        return int(self.proposal["rounds"])

    @property
    def measured(self) -> tuple[Report, ...]:
        return tuple(report for report in self.reports if report.auc is not None)

    @property
    def best(self) -> Report | None:
        """The earliest of its best reports: the fewest trees for the same value."""
        return max(self.measured, key=lambda report: (report.auc or 0.0, -report.round), default=None)

    @property
    def auc(self) -> float | None:
        return self.best.auc if self.best else None

    @property
    def pace(self) -> Money:
        """What its next report is expected to cost: the dearest of its last three."""
        return max((report.cost for report in self.reports[-3:]), default=ZERO)

    def unbooked(self, now: datetime) -> Money:
        """What has run up since its last charge."""
        if self.place is None or self.marked is None:
            return ZERO
        return self.place.price.over(max(0.0, (now - self.marked).total_seconds()), self.place.share)

    def ended(self, state: State, reason: str) -> Trial:
        return replace(self, state=state, reason=reason, place=None, marked=None)

    def paused(self, reason: str, now: datetime) -> Trial:
        return replace(self.ended(State.PAUSED, reason), marked=now)

    def resumed(self) -> Trial:
        """Waits for a node again, as after a loss, but nothing was lost."""
        return replace(self, state=State.WAITING, reason="", marked=None)
