"""Markets that never were: traces of spot capacity for when nobody recorded one. The same seed gives the same trace.

A zone is a semi-Markov process: regimes (calm, rough) take turns, and inside one capacity comes and goes with its own mean
times. Recorded zones behave so: hours of back and forth, then days without a loss (Wu et al., NSDI 2024, section 3). Nodes of
one zone and type go together: over 92 % of their co-interruptions fall within three minutes (arXiv 2604.16457).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from mlray.market.trace import EPOCH, Trace
from mlray.market.weather import MIXED, Regime, Weather

# Stays are Weibull with this shape: many short and a few long ones; 1 would be exponential. Fitted to earlier halves of 20 recorded
# zones, whose regimes it cannot tell apart, it is 0.5 to 1.1 and 0.8 in the middle.
SHAPE = 0.7
MEAN_OF_SHAPE = 1.2658235  # gamma(1 + 1 / SHAPE), the mean of a Weibull of scale 1
NEAR_S = 180.0
States = NDArray[np.bool_]


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
