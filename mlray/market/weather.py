"""Weather: how a spot market behaves, in the few numbers that a made one is drawn from."""

from __future__ import annotations

from dataclasses import dataclass

HOUR, DAY = 3600.0, 86400.0


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
