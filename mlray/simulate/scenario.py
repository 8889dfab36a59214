"""Scenario: all that a replay is made of. The same scenario gives the same replay, to the last byte."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mlray.govern.snapshot import Watched
from mlray.ledger.entry import Cause
from mlray.market.offer import Offer
from mlray.market.trace import Trace
from mlray.policy.spec import Policy
from mlray.serve.scaling import Pace
from mlray.simulate.load import Load
from mlray.simulate.service import Service
from mlray.units import ZERO, Duration, Money

# A Monday, so that the days of a week come in their order.
START = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Served:
    """A deployment: what one replica takes and does, how load becomes replicas, and the load itself.

    `per_node` replicas stand on one node, and are lost together. `window_s` is the time over which load is averaged.
    """

    watched: Watched
    load: Load
    service: Service = field(default_factory=Service)
    pace: Pace = field(default_factory=lambda: Pace(2.0, 2.0, 30.0))
    window_s: float = 10.0
    per_node: int = 1

    @property
    def name(self) -> str:
        return self.watched.deployment


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """One trial of a search: `work_s` seconds on its node if it is never disturbed, and what a dollar spent on it is worth."""

    id: str
    work_s: float
    value_per_dollar: float


@dataclass(frozen=True, slots=True)
class Searched:
    """A search that asks to start `after_s` seconds into the replay, and asks again each tick until it is admitted.

    `budget` is the most it may spend (None: all that is left). `parallel` trials run at once, each on a node of its own that the
    `market` names; one that loses its node goes on from its last checkpoint, `checkpoint_s` seconds of work apart.
    """

    cause: Cause
    policy: Policy
    trials: tuple[TrialPlan, ...]
    budget: Money | None = None
    least: Duration = Duration(10)
    parallel: int = 2
    cpus: float = 1.0
    market: str = "spot"
    after_s: float = 0.0
    checkpoint_s: float = 600.0

    @property
    def run(self) -> str:
        return self.cause.run


@dataclass(frozen=True, slots=True)
class Notices:
    """Word from the market that a node is about to be taken: `ahead_s` seconds before, with this chance (0: never)."""

    ahead_s: float = 120.0
    chance: float = 0.95


@dataclass(frozen=True, slots=True)
class Scenario:
    """A market, policies in force, and the work under them, for `days` from `start` in ticks of `tick_s` seconds.

    `cold_start_s` passes from buying a node until its replicas are ready, and `most` bounds the nodes of a type. `spent` is booked for
    `spent_for` before anything begins. `notes` are told with the results: what was assumed or generated.
    """

    policies: tuple[Policy, ...]
    offers: tuple[Offer, ...]
    traces: tuple[Trace, ...]
    serving: tuple[Served, ...] = ()
    searching: tuple[Searched, ...] = ()
    days: float = 30.0
    tick_s: float = 60.0
    start: datetime = START
    cold_start_s: float = 120.0
    notices: Notices = Notices()
    seed: int = 0
    cluster: str = "simulated"
    most: tuple[tuple[str, int], ...] = ()
    spent: Money = ZERO
    spent_for: Cause = field(default_factory=lambda: Cause("data", "", ""))
    notes: tuple[str, ...] = field(default=())

    @property
    def ticks(self) -> int:
        return max(1, round(self.days * 86400 / self.tick_s))

    def at(self, tick: int) -> datetime:
        return self.start + timedelta(seconds=tick * self.tick_s)
