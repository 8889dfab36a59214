"""Report: what a replay cost, what it kept of its promises and what was lost, as plain facts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from mlray.market.spec import Capacity
from mlray.simulate.book import Line
from mlray.simulate.played import Replay
from mlray.simulate.scenario import Served
from mlray.simulate.searching import Outcome
from mlray.simulate.spending import WindowSpent
from mlray.simulate.track import Track
from mlray.units import ZERO, Money


@dataclass(frozen=True, slots=True)
class Spent:
    """What nodes of one capacity type cost for one kind of work."""

    stage: str
    capacity: str
    node_hours: float
    amount: Money


@dataclass(frozen=True, slots=True)
class Kept:
    """How one deployment kept its promise. Shares are of time and of requests, from 0 to 1 (None: nothing was promised, or asked).

    `nines` is -log10(1 - available), None where it was never short. `interruptions` count nodes the market took, `unannounced` those of
    them of which no notice came.
    """

    deployment: str
    target: float
    available: float | None
    nines: float | None
    met: bool | None
    good: float | None
    requests: float
    late: float
    failed: float
    replica_hours: float
    interruptions: int
    unannounced: int
    cold_starts: int


@dataclass(frozen=True, slots=True)
class Report:
    """One policy's replay. `all_on_demand` is what the replicas that were asked for, spares aside, and the work that was done would have
    cost on the cheapest on-demand offer (None: there is none). `overspent` sums what windows spent beyond their amounts."""

    policy: str
    digest: str
    start: datetime
    days: float
    tick_s: float
    seed: int
    spent: Money
    all_on_demand: Money | None
    overspent: Money
    by: tuple[Spent, ...]
    serving: tuple[Kept, ...]
    searches: tuple[Outcome, ...]
    windows: tuple[WindowSpent, ...]
    decided: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]

    @property
    def relative(self) -> float | None:
        """Spent, as a share of all on-demand."""
        return self.spent / self.all_on_demand if self.all_on_demand else None


def report(replay: Replay) -> Report:
    """The facts of a replay; nothing in it depends on when it was run."""
    scenario, policy = replay.scenario, replay.scenario.policies[0]
    return Report(
        policy=policy.name,
        digest=policy.digest,
        start=scenario.start,
        days=scenario.ticks * scenario.tick_s / 86400,
        tick_s=scenario.tick_s,
        seed=scenario.seed,
        spent=Money(sum(line.micros for line in replay.booked)),
        all_on_demand=_all_on_demand(replay),
        overspent=sum((w.overspent for w in replay.windows), ZERO),
        by=_by(replay.booked),
        serving=tuple(_kept(served, replay.tracks[served.name], scenario.tick_s) for served in scenario.serving),
        searches=replay.searches,
        windows=replay.windows,
        decided=tuple(sorted(Counter(d.kind for d in replay.decisions).items())),
        notes=scenario.notes,
    )


def nines(available: float) -> float | None:
    """-log10(1 - available): 0.999 are three nines. None where nothing was missed, which is more than any number of nines."""
    return None if available >= 1 else -math.log10(1 - available)


def _by(booked: Iterable[Line]) -> tuple[Spent, ...]:
    """By kind of work and capacity type, the dearest first."""
    sums: dict[tuple[str, str], list[float]] = {}
    for line in booked:
        of = sums.setdefault((line.stage, line.capacity), [0.0, 0])
        of[0] += line.node_s / 3600
        of[1] += line.micros
    rows = [Spent(*key, hours, Money(int(micros))) for key, (hours, micros) in sums.items()]
    return tuple(sorted(rows, key=lambda r: (-r.amount.micros, r.stage, r.capacity)))


def _kept(served: Served, track: Track, tick_s: float) -> Kept:
    table, target = track.table(), served.watched.policy.availability.target.fraction
    promised = table["promised"] > 0
    short = int((promised & (table["ready"] < table["promised"])).sum())
    asked = float(table["good"].sum() + table["late"].sum() + table["failed"].sum())
    available = 1 - short / int(promised.sum()) if promised.any() else None
    return Kept(
        deployment=served.name,
        target=target,
        available=available,
        nines=None if available is None else nines(available),
        met=None if available is None else available >= target,
        good=float(table["good"].sum()) / asked if asked else None,
        requests=asked,
        late=float(table["late"].sum()),
        failed=float(table["failed"].sum()),
        replica_hours=float(table["held"].sum()) * tick_s / 3600,
        interruptions=track.announced + track.unannounced,
        unannounced=track.unannounced,
        cold_starts=track.cold_starts,
    )


def _all_on_demand(replay: Replay) -> Money | None:
    """On-demand nodes do not go away: no spares, no cold starts beside those the load asks for, no work done twice."""
    offers = [o for o in replay.scenario.offers if o.capacity is Capacity.ON_DEMAND]
    if not offers:
        return None
    micros = min(o.price.per_hour.micros for o in offers)
    tick_h = replay.scenario.tick_s / 3600
    nodes = sum(_asked(replay.tracks[served.name], served.per_node) for served in replay.scenario.serving)
    work = sum(outcome.work_s - outcome.lost_s for outcome in replay.searches) / 3600
    return Money(round(micros * (nodes * tick_h + work)))


def _asked(track: Track, per_node: int) -> float:
    """Nodes that the load and the promise asked for, summed over ticks. Of a floor only what is promised counts: the rest are spares."""
    table = track.table()
    asked = np.where(table["wanted"] > table["floor"], table["wanted"], np.minimum(table["promised"], table["ceiling"]))
    return float(np.ceil(asked / per_node).sum())
