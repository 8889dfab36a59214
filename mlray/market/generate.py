"""Markets that never were: traces of spot capacity for when nobody recorded one. The same seed gives the same trace.

A zone is a semi-Markov process: regimes (calm, rough) take turns, and inside one capacity comes and goes with its own mean
times. Recorded zones behave so: hours of back and forth, then days without a loss (Wu et al., NSDI 2024, section 3). Nodes of
one zone and type go together: over 92 % of their co-interruptions fall within three minutes (arXiv 2604.16457).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from mlray.market.trace import EPOCH, Trace

# Stays are Weibull with this shape: many short and a few long ones, as lifetimes of spot nodes are; 1 would be exponential.
SHAPE = 0.7
MEAN_OF_SHAPE = 1.2658235  # gamma(1 + 1 / SHAPE), the mean of a Weibull of scale 1
NEAR_S = 180.0
HOUR, DAY = 3600.0, 86400.0
States = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Regime:
    """Mean seconds that capacity stays and stays away, and for which the regime itself lasts."""

    up_s: float
    down_s: float
    lasts_s: float

    def __post_init__(self) -> None:
        if min(self.up_s, self.down_s, self.lasts_s) <= 0:
            raise ValueError(f"stays {self.up_s:g} s, away {self.down_s:g} s, lasts {self.lasts_s:g} s: mean times are above 0 s")

    @property
    def share(self) -> float:
        """Of the time with capacity."""
        return self.up_s / (self.up_s + self.down_s)


@dataclass(frozen=True, slots=True)
class Weather:
    """How a market behaves.

    `nodes` is the most a zone gives. `together` is the correlation of two nodes of a zone, which is about the chance that a
    loss of one takes the other within three minutes. `price` is the mean for one node and hour in dollars, `swing` the
    standard deviation of its logarithm, and `memory_s` the time constant at which it returns to the mean.
    """

    calm: Regime = Regime(2.5 * DAY, 0.5 * HOUR, 3 * DAY)
    rough: Regime = Regime(1.5 * HOUR, 1.5 * HOUR, 1 * DAY)
    nodes: int = 1
    together: float = 0.9
    price: float = 0.9731
    swing: float = 0.08
    memory_s: float = 2 * DAY

    def __post_init__(self) -> None:
        if self.nodes < 1 or not 0 <= self.together <= 1 or self.price <= 0 or self.swing < 0 or self.memory_s <= 0:
            what = f"nodes {self.nodes}, together {self.together:g}, price {self.price:g}, swing {self.swing:g}, memory {self.memory_s:g} s"
            raise ValueError(f"{what}: nodes from 1, together 0 to 1, price and memory above 0, swing from 0")

    @property
    def share(self) -> float:
        """Of the time a node can be had, in the long run."""
        calm, rough = self.calm, self.rough
        return (calm.share * calm.lasts_s + rough.share * rough.lasts_s) / (calm.lasts_s + rough.lasts_s)

    @property
    def losses_per_s(self) -> float:
        """Of a zone's capacity, in the long run: those inside a regime, and those that its change brings."""
        calm, rough = self.calm, self.rough
        inside = sum(r.lasts_s / (r.up_s + r.down_s) for r in (calm, rough))
        between = 0.0 if calm == rough else calm.share * (1 - rough.share) + rough.share * (1 - calm.share)
        return (inside + between) / (calm.lasts_s + rough.lasts_s)

    @property
    def up_s(self) -> float:
        """Mean seconds that capacity of a zone stays, over both regimes; `down_s` stays away."""
        return self.share / self.losses_per_s

    @property
    def down_s(self) -> float:
        return (1 - self.share) / self.losses_per_s


MIXED = Weather()


def spot(
    zone: str,
    ticks: int,
    tick_s: float,
    rng: np.random.Generator,
    weather: Weather = MIXED,
    node_type: str = "",
    start: datetime = EPOCH,
) -> Trace:
    """One zone on its own."""
    (trace,) = region((zone,), ticks, tick_s, rng, weather, 0.0, node_type, start)
    return trace


def region(
    zones: Sequence[str],
    ticks: int,
    tick_s: float,
    rng: np.random.Generator,
    weather: Weather = MIXED,
    shared: float = 0.3,
    node_type: str = "",
    start: datetime = EPOCH,
) -> tuple[Trace, ...]:
    """Zones whose capacity has the correlation `shared`, pair by pair (times `together` where they have several nodes).

    Stays shorter than a tick are not seen, as in a recording: `tick_s` well below the mean times keeps them as asked for.
    """
    if ticks < 1 or tick_s <= 0 or not 0 <= shared <= 1:
        raise ValueError(f"{ticks} ticks of {tick_s:g} s, shared {shared:g}: ticks from 1, seconds above 0, shared 0 to 1")
    common = _states(ticks, tick_s, weather, rng)
    return tuple(
        Trace(
            zone,
            tick_s,
            _nodes(_following(common, shared, tick_s, weather, rng), tick_s, weather, rng),
            _prices(ticks, tick_s, weather, rng),
            node_type,
            start,
        )
        for zone in zones
    )


def _nodes(zone: States, tick_s: float, weather: Weather, rng: np.random.Generator) -> NDArray[np.int64]:
    """How many nodes there are: each goes with its zone, up to three minutes late, or its own way for a while."""
    if weather.nodes == 1:
        return zone.astype(np.int64)
    found = np.zeros(len(zone), np.int64)
    for _ in range(weather.nodes):
        late = round(rng.uniform(0, NEAR_S) / tick_s)
        delayed = np.concatenate([zone[:late], zone])[: len(zone)]
        found += _following(delayed, weather.together, tick_s, weather, rng)
    return found


def _following(leader: States, correlation: float, tick_s: float, weather: Weather, rng: np.random.Generator) -> States:
    """A process that goes with the leader or its own way by turns. Two followers have this correlation.

    Each follows a share sqrt(correlation) of the time, in spells as long as both regimes, whose ends may cut a stay short.
    """
    share = float(np.sqrt(correlation))
    own = _states(len(leader), tick_s, weather, rng)
    if share in (0.0, 1.0):
        return leader if share else own
    spell = weather.calm.lasts_s + weather.rough.lasts_s
    turns = Regime(2 * spell * share, 2 * spell * (1 - share), spell)
    joined = _states(len(leader), tick_s, Weather(turns, turns), rng)
    return np.where(joined, leader, own)


def _states(ticks: int, tick_s: float, weather: Weather, rng: np.random.Generator) -> States:
    """Whether there is capacity, at the middle of each tick."""
    edges, states = _stays(ticks * tick_s, weather, rng)
    moments = (np.arange(ticks) + 0.5) * tick_s
    found: States = np.array(states)[np.searchsorted(edges, moments, side="right") - 1]
    return found


def _stays(seconds: float, weather: Weather, rng: np.random.Generator) -> tuple[list[float], list[bool]]:
    """When each stay begins and whether it is one with capacity.

    A regime is met in the middle of its life, so that its share of time with capacity is exact however short it is.
    """
    calm = bool(rng.random() < weather.calm.lasts_s / (weather.calm.lasts_s + weather.rough.lasts_s))
    edges: list[float] = []
    states: list[bool] = []
    begun = 0.0
    while begun < seconds:
        regime = weather.calm if calm else weather.rough
        ends = np.inf if weather.calm == weather.rough else begun + rng.exponential(regime.lasts_s)
        up, now = bool(rng.random() < regime.share), begun
        stay = _rest(regime.up_s if up else regime.down_s, rng)
        while now < min(ends, seconds):
            edges.append(now)
            states.append(up)
            now, up = now + stay, not up
            stay = float(rng.weibull(SHAPE)) * (regime.up_s if up else regime.down_s) / MEAN_OF_SHAPE
        begun, calm = min(now, ends), not calm
    return edges, states


def _rest(mean_s: float, rng: np.random.Generator) -> float:
    """What is left of a stay that somebody comes upon: a uniform part of one drawn with a chance that grows with its length."""
    met = rng.gamma(1 + 1 / SHAPE) ** (1 / SHAPE)
    return float(rng.random() * met * mean_s / MEAN_OF_SHAPE)


def _prices(ticks: int, tick_s: float, weather: Weather, rng: np.random.Generator) -> NDArray[np.float64]:
    """Log-normal around the mean, with memory (an Ornstein-Uhlenbeck process in the logarithm)."""
    keep = float(np.exp(-tick_s / weather.memory_s))
    first, *moves = rng.normal(0, weather.swing, ticks).tolist()
    fresh = (1 - keep**2) ** 0.5
    logs = np.fromiter(accumulate(moves, lambda x, move: keep * x + fresh * move, initial=first), np.float64, ticks)
    found: NDArray[np.float64] = weather.price * np.exp(logs - weather.swing**2 / 2)
    return found
