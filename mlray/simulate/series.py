"""Series: a replay as lines to draw, in at most so many points however long it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from mlray.policy.match import governs_cause
from mlray.simulate.played import Replay
from mlray.simulate.scenario import Scenario

POINTS = 1500
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One replay by points in time: dollars spent in the window of the first policy and its amount; replicas of all deployments; the
    share of time, so far, in which what was promised was ready (NaN while nothing was promised); decisions as (time, kind)."""

    at: list[datetime]
    spent: Numbers
    budget: Numbers
    ready: Numbers
    wanted: Numbers
    floor: Numbers
    ceiling: Numbers
    available: Numbers
    decisions: tuple[tuple[datetime, str], ...]


def series(replay: Replay, points: int = POINTS) -> Series:
    """Of each stretch of ticks the last sum, the fewest ready, and the most wanted and allowed: a short dip is not lost."""
    scenario = replay.scenario
    ends = np.unique(np.linspace(0, scenario.ticks, min(points, scenario.ticks) + 1).astype(int))[1:]
    starts = np.concatenate(([0], ends[:-1]))
    tables = [track.table() for track in replay.tracks.values()]
    spent, budget = _money(replay)

    def total(name: str) -> Numbers:
        return np.sum([table[name] for table in tables], axis=0) if tables else np.zeros(scenario.ticks)

    return Series(
        at=[scenario.at(int(end)) for end in ends],
        spent=spent[ends - 1],
        budget=budget[ends - 1],
        ready=np.minimum.reduceat(total("ready"), starts),
        wanted=np.maximum.reduceat(total("wanted"), starts),
        floor=np.maximum.reduceat(total("floor"), starts),
        ceiling=np.maximum.reduceat(total("ceiling"), starts),
        available=_available(tables, scenario.ticks)[ends - 1],
        decisions=tuple((d.at, d.kind) for d in replay.decisions),
    )


def hourly(replay: Replay, tenants: frozenset[str] | None = None) -> Numbers:
    """Dollars an hour of nodes in each tick; of these deployments and runs, or of all."""
    out, ticks = np.zeros(replay.scenario.ticks), replay.scenario.ticks
    edges = [rate.tick for rate in replay.rates[1:]] + [ticks]
    for rate, end in zip(replay.rates, edges, strict=True):
        out[rate.tick : end] = sum(micros for (tenant, _), micros in rate.micros.items() if tenants is None or tenant in tenants) / 1e6
    return out


def _money(replay: Replay) -> tuple[Numbers, Numbers]:
    scenario = replay.scenario
    dollars = np.cumsum(hourly(replay, frozenset(_governed(scenario)))) * scenario.tick_s / 3600
    budget = np.zeros(scenario.ticks)
    spent = dollars.copy()
    for window in (w for w in replay.windows if w.policy == scenario.policies[0].name):
        first, last = (_tick(scenario, at) for at in (window.start, window.end))
        spent[first:last] = dollars[first:last] - (dollars[first - 1] if first else 0.0)
        budget[first:last] = window.amount.usd
    return spent, budget


def _governed(scenario: Scenario) -> Iterator[str]:
    """The deployments and runs that spend under the first policy."""
    policy = scenario.policies[0]
    yield from (s.name for s in scenario.serving if governs_cause(policy, s.watched.cause))
    yield from (s.run for s in scenario.searching if governs_cause(policy, s.cause))


def _tick(scenario: Scenario, at: datetime) -> int:
    return min(scenario.ticks, max(0, round((at - scenario.start).total_seconds() / scenario.tick_s)))


def _available(tables: Iterable[Mapping[str, Numbers]], ticks: int) -> Numbers:
    """So far, over all deployments: a tick in which any is short counts as short."""
    promised, short = np.zeros(ticks, bool), np.zeros(ticks, bool)
    for table in tables:
        promised |= table["promised"] > 0
        short |= table["ready"] < table["promised"]
    counted = np.cumsum(promised)
    with np.errstate(invalid="ignore", divide="ignore"):
        share: Numbers = 1 - np.cumsum(short) / counted
    return share
