"""Belief: which regime holds in a zone, folded tick by tick from what is seen of it (a Bayesian filter)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from mlray.market.regimes import Floats, Regimes


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """The chance of each regime now, the state last seen (None: never) and for how many ticks it had lasted before that tick."""

    regimes: Regimes
    weights: Floats
    up: bool | None = None
    ticks: int = 0

    @classmethod
    def fresh(cls, regimes: Regimes) -> Belief:
        """Before anything was seen: each regime as often as it holds in the long run."""
        return cls(regimes, regimes.weights)

    @property
    def place(self) -> int:
        """The row of the state seen last, of a chain's: down by age, then up by age."""
        return int(bool(self.up)) * len(self.regimes.ages) + self.regimes.age(self.ticks)

    def seen(self, up: bool) -> Belief:
        """After the next tick was seen to be up or down. Rare states move the belief most."""
        if self.up is None:
            share = self.regimes.share()
            weights = self.weights * (share if up else 1 - share)
            return replace(self, weights=weights / weights.sum(), up=up)
        flips = self.regimes.flips[:, int(self.up), self.regimes.age(self.ticks)]
        weights = self.weights * (flips if up != self.up else 1 - flips)
        weights = weights / weights.sum()
        forget = self.regimes.forget
        weights = (1 - forget) * weights + forget * self.regimes.weights
        return replace(self, weights=weights, up=up, ticks=self.ticks + 1 if up == self.up else 0)

    def after(self, ups: Iterable[bool]) -> Belief:
        """After several ticks, such as a history."""
        found = self
        for up in ups:
            found = found.seen(bool(up))
        return found

    def share(self) -> float:
        """The part of the time this zone is expected to be up in the long run of the regime that seems to hold."""
        return float(np.dot(self.weights, self.regimes.share()))
