"""Floor: the fewest replicas that keep a promise, from how often nodes go away, alone and together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import exp, lgamma, log, log1p

import numpy as np
from numpy.typing import NDArray

from mlray.market.spec import Interruptions
from mlray.policy.spec import Availability, SpotTolerance
from mlray.units import Money, Percent

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Footing:
    """What a deployment's replicas stand on.

    `hourly` is what one replica costs for an hour (None: unknown). `spot_share` is the part of the replicas that may be
    on spot; `spot` and `on_demand` say how such nodes go away (None: the cluster file does not say). `zones` are those in which they may
    stand on spot (none known: all in one), `start_s` the seconds until a first replica is ready (None: as long as a lost one's successor).
    """

    hourly: Money | None
    running: int
    spot_share: float
    spot: Interruptions | None = None
    on_demand: Interruptions | None = None
    zones: tuple[str, ...] = ()
    start_s: float | None = None

    @property
    def first_s(self) -> float | None:
        """Seconds until a first replica is ready; None where nothing says."""
        recoveries = [rate.recovery.seconds for rate in (self.spot, self.on_demand) if rate is not None]
        return self.start_s if self.start_s is not None else max(recoveries, default=None)


@dataclass(frozen=True, slots=True)
class Floor:
    """The fewest replicas that keep the promise, and why. `met` is false where even the most allowed do not."""

    replicas: int
    met: bool
    reason: str


NO_TERMS = SpotTolerance()


def solve_floor(promise: Availability, footing: Footing, spot: SpotTolerance = NO_TERMS) -> Floor:
    """The smallest n with P(at least min_ready of n replicas are ready) >= target, inside the replicas allowed.

    It is never below min_ready + survive, so that so many may be lost at once, nor below one in each promised zone, and holds the replicas
    that are always on demand. Where a first replica takes longer than `cold_start`, one stays.
    """
    # Plain numbers, because they are looked up at every look of the governor for every deployment.
    low, high, kinds = promise.replicas.low, promise.replicas.high, (*_numbers(footing.spot), *_numbers(footing.on_demand))
    zones, share = min(promise.zones, len(footing.zones) or 1), min(footing.spot_share, spot.share.fraction)
    promised = promise.min_ready, promise.survive, low, high, promise.target.fraction
    return _solve(promised, _warm(promise, footing), zones, share, spot.on_demand, kinds)


@dataclass(frozen=True, slots=True)
class _Nodes:
    """How nodes of one kind go away: seconds between two losses, until a successor is ready, and the part that a zone loses at once."""

    every_s: float
    recovery_s: float
    together: float

    def part_up(self, part: float) -> float:
        """How much of the time a node is not gone by this part of its interruptions."""
        return self.every_s / (self.every_s + part * self.recovery_s)

    @property
    def up(self) -> float:
        return self.part_up(1.0)


NOT_DECLARED = (-1.0, 0.0, 0.0)


def _numbers(rate: Interruptions | None) -> tuple[float, float, float]:
    return NOT_DECLARED if rate is None else (rate.every.seconds, rate.recovery.seconds, rate.together.fraction)


def _nodes(numbers: tuple[float, ...]) -> _Nodes | None:
    return None if numbers == NOT_DECLARED else _Nodes(*numbers)


@dataclass(frozen=True, slots=True)
class _Stands:
    """Where replicas stand, as far as it matters to their number."""

    zones: int
    spot_share: float
    on_demand: int
    spot: _Nodes | None
    steady: _Nodes | None

    def on_spot(self, n: int) -> int:
        """How many of n may be on spot: what is always on demand is taken off, and parts of replicas stay on demand."""
        return min(max(0, n - self.on_demand), int(n * self.spot_share + 1e-9))

    def kept(self, k: int, n: int) -> float:
        """P(at least k of n are ready), those on spot spread evenly over the zones.

        A zone loses them alone, or all at once by a common shock (Marshall and Olkin, J. Am. Stat. Assoc. 62, 1967): the part `together`
        of interruptions is a shock to the zone. Zones are taken for independent of each other, and on-demand nodes of everything. Only
        fewer than k ready are counted, so that many cost little.
        """
        if k == 0:
            return 1.0
        on_spot = self.on_spot(n)
        few = binomial(n - on_spot, self.steady.up if self.steady else 1.0)[:k]
        for zone in range(self.zones if self.spot else 0):
            assert self.spot is not None
            shock = self.spot.part_up(self.spot.together)
            ready = shock * binomial(on_spot // self.zones + (zone < on_spot % self.zones), self.spot.part_up(1 - self.spot.together))
            ready[0] += 1 - shock
            few = np.convolve(few, ready)[:k]
        return max(0.0, 1.0 - float(few.sum()))

    def smallest(self, k: int, target: float, low: int, high: int) -> int:
        """By halving: another replica, wherever it stands, never makes fewer ready."""
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.kept(k, middle) >= target else (middle + 1, high)
        return low

    def reached(self, k: int, n: int) -> str:
        """Rounded down to four decimals, so that 99.9999% never reads as a certainty."""
        return f"{k} ready {int(self.kept(k, n) * 1_000_000) / 10_000:g}% of the time"

    def assumed(self, n: int) -> str:
        """What the number rests on: most losses of one type and zone do come together (arXiv 2604.16457), so silence would be a boast."""
        if self.spot is None or self.on_spot(n) < 2:
            return ""
        together = self.spot.together
        return f", {Percent(together)} of losses taking a whole zone" if together else ", if each is lost on its own"


@lru_cache(maxsize=65536)
def _solve(
    promised: tuple[int, int, int, int, float], warm: int, zones: int, spot_share: float, on_demand: int, kinds: tuple[float, ...]
) -> Floor:
    min_ready, survive, low, high, target = promised
    stands = _Stands(zones, spot_share, on_demand, _nodes(kinds[:3]), _nodes(kinds[3:]))
    spread = stands.zones if stands.zones > 1 and min_ready else 0
    high = max(high, warm)
    low = min(high, max(low, min_ready + survive, stands.on_demand, warm, spread))
    spare = f", and survive the loss of {survive}" if survive else ""
    if stands.spot_share > 0 and stands.spot is None:
        return Floor(low, False, f"{low} held for {min_ready} ready{spare}; how often spot is interrupted is not declared")
    if stands.kept(min_ready, high) < target:
        reached = f"{high} replicas keep {stands.reached(min_ready, high)}{stands.assumed(high)}"
        return Floor(high, False, f"target {Percent(target)} cannot be met: {reached}")
    n = stands.smallest(min_ready, target, low, high)
    if n == 0:
        return Floor(0, True, "none is promised ready")
    if n == warm and not min_ready:
        return Floor(n, True, f"{n} stays, for a first replica may take longer than the promised cold start")
    return Floor(n, True, f"{n} keep {stands.reached(min_ready, n)} (target {Percent(target)}{stands.assumed(n)}){spare}")


def binomial(n: int, chance: float) -> Floats:
    """P(Binomial(n, chance) = i) for i = 0..n, by logarithms, so that hundreds of replicas neither overflow nor vanish."""
    if n == 0 or chance <= 0 or chance >= 1:
        certain = np.zeros(n + 1)
        certain[n if chance >= 1 else 0] = 1.0
        return certain
    whole, up, down = lgamma(n + 1), log(chance), log1p(-chance)
    return np.array([exp(whole - lgamma(i + 1) - lgamma(n - i + 1) + i * up + (n - i) * down) for i in range(n + 1)])


def _warm(promise: Availability, footing: Footing) -> int:
    """One where zero replicas would break the promised cold start, or nothing says that they would not."""
    if promise.cold_start is None:
        return 0
    return 0 if footing.first_s is not None and footing.first_s <= promise.cold_start.seconds else 1
