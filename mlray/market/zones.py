"""Zones: a set of zones in which work may run, taken together: spot is up where any of them is, and a zone at work can be lost alone.

All zones as one market with one hidden regime keeps the plan small. What tells zones apart, how long each lasts and its price, decides
which of those that are up to take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mlray.market.belief import Belief
from mlray.market.regimes import HOUR_S, Floats, Regimes, Ups, ages_of, at_ticks, learn, prior
from mlray.market.trace import Trace

LONG_H = 24.0  # a life is not foreseen beyond this
LOST_PER_H, WEIGHT_H = (
    0.2,
    24.0,
)  # how often the zone at work goes while another is up: before anything is known, and for how long that counts


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """What was learned of `zones`: regimes of any zone being up (`together`), and of one zone (`alone`).

    `lost` is the chance per tick to lose the zone at work while another is up; `shares` is the part of the work each zone would get;
    `lives` are the expected ticks until a zone goes, by (regime, age).
    """

    zones: tuple[str, ...]
    together: Regimes
    alone: Regimes
    lost: float
    shares: tuple[float, ...]
    lives: Floats = field(repr=False)

    @classmethod
    def learned(cls, history: Sequence[Trace], zones: Sequence[str], tick_s: float) -> Market:
        """From any number of traces, none included. Traces of other zones teach how zones behave; those of `zones` how they do together."""
        alone = learn([at_ticks(trace, tick_s) for trace in history], tick_s) or prior(tick_s)
        own = _aligned(history, zones, tick_s)
        if len(zones) == 1 or own is None:
            lost = LOST_PER_H * tick_s / HOUR_S if len(zones) > 1 else 0.0
            return cls(tuple(zones), alone, alone, lost, (1 / len(zones),) * len(zones), _lives(alone))
        together = learn([_any(own), *_like(history, len(zones), tick_s)], tick_s) or alone
        lost, shares = _followed(own, tick_s)
        return cls(tuple(zones), together, alone, lost, shares, _lives(alone))

    def price(self, prices: Mapping[str, float]) -> float:
        """Dollars an hour that spot is expected to cost, by where the work would be. Zones whose price nobody knows are left out.

        Raises ValueError where no price is known.
        """
        known = [(share, prices[zone]) for share, zone in zip(self.shares, self.zones, strict=True) if zone in prices]
        if not known:
            raise ValueError(f"no spot price is known in {', '.join(self.zones)}")
        return sum(share * price for share, price in known) / sum(share for share, _ in known)


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """What is believed of a market now: of all its zones together, and of each."""

    market: Market
    together: Belief
    zones: Mapping[str, Belief]

    @classmethod
    def fresh(cls, market: Market) -> Watch:
        alone = Belief.fresh(market.alone)
        return cls(market, Belief.fresh(market.together), dict.fromkeys(market.zones, alone))

    def seen(self, up: Mapping[str, bool]) -> Watch:
        """After a tick in which these zones were seen to be up or down. A zone nobody looked at keeps its belief."""
        zones = {zone: belief.seen(up[zone]) if zone in up else belief for zone, belief in self.zones.items()}
        if len(zones) == 1:
            return replace(self, together=next(iter(zones.values())), zones=zones)
        return replace(self, together=self.together.seen(any(up.values())), zones=zones)

    def life(self, zone: str) -> float:
        """Ticks for which a zone that is up is expected to stay so, at most those of a day."""
        belief = self.zones[zone]
        return float(belief.weights @ self.market.lives[:, belief.regimes.age(belief.ticks)])


def _aligned(history: Sequence[Trace], zones: Sequence[str], tick_s: float) -> Ups | None:
    """Shape (zones, ticks): the ticks for which all have a trace, from the latest start to the first end; None where there are none."""
    own = {trace.zone: trace for trace in history}
    if not set(zones) <= own.keys():
        return None
    begin = max(own[zone].start for zone in zones)
    rows = []
    for zone in zones:
        skipped = (begin - own[zone].start).total_seconds()
        rows.append(at_ticks(own[zone], tick_s)[round(skipped / tick_s) :])
    ticks = min(len(row) for row in rows)
    return np.array([row[:ticks] for row in rows]) if ticks > 1 else None


def _any(zones: Ups) -> Ups:
    return np.asarray(zones.any(axis=0), bool)


def _like(history: Sequence[Trace], count: int, tick_s: float) -> list[Ups]:
    """Whether any was up, of other sets of as many zones: one set beginning with each zone, so that a calm set has seen worse days."""
    zones = [trace.zone for trace in history]
    every = _aligned(history, zones, tick_s)
    if every is None or count >= len(zones):
        return []
    return [_any(np.roll(every, -first, axis=0)[:count]) for first in range(len(zones))]


def _followed(own: Ups, tick_s: float) -> tuple[float, tuple[float, ...]]:
    """Work that stays in a zone until it goes, and then takes the one that is up longest: how often it moves, and where it is."""
    zone, moved, ages = -1, 0, np.array([ages_of(up) for up in own])
    spent = np.ones(len(own))
    for tick in range(own.shape[1]):
        up = own[:, tick]
        if zone >= 0 and up[zone]:
            spent[zone] += 1
        elif up.any():
            moved += zone >= 0 and bool(own[:, tick - 1].any())
            zone = int(np.where(up, ages[:, tick], -1).argmax())
            spent[zone] += 1
        else:
            zone = -1
    weight = WEIGHT_H * HOUR_S / tick_s
    lost = (moved + LOST_PER_H * WEIGHT_H) / (float(spent.sum()) + weight)
    return lost, tuple(float(part) for part in spent / spent.sum())


def _lives(regimes: Regimes) -> Floats:
    """Expected ticks until what is up goes down, by (regime, age), where each tick may also be the last of the day."""
    ages = len(regimes.ages)
    stays = regimes.chain()[:, ages:, ages:] * (1 - regimes.tick_s / (LONG_H * HOUR_S))
    return np.asarray(np.linalg.solve(np.eye(ages) - stays, np.ones((regimes.count, ages, 1)))[:, :, 0], np.float64)
