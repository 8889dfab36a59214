"""Snapshot: all that is known of the governed deployments at one instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from mlray.ledger.balance import Balance
from mlray.ledger.entry import Cause
from mlray.market.offer import Offer, cheapest
from mlray.market.spec import Capacity, Interruptions
from mlray.policy.allowance import Allowance, Footing
from mlray.policy.spec import Policy
from mlray.units import ZERO, Money


@dataclass(frozen=True, slots=True)
class Watched:
    """A deployment under government: its policy, what one replica takes, where it may run, whom its charges are for."""

    deployment: str
    policy: Policy
    cpus: float
    market: str
    cause: Cause


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica that holds a node's CPUs. `offer` is None where the node's type has no known price.

    `started` is when it was first known to run; for one that is charged already, the ledger knows better.
    """

    id: str
    offer: Offer | None
    cpus: float
    started: datetime

    @property
    def hourly(self) -> Money | None:
        return None if self.offer is None else self.offer.price.over(3600, self.offer.share(self.cpus))


@dataclass(frozen=True, slots=True)
class Seen:
    """One deployment as observed: its replicas, its policy's balance (None: unreadable), the allowance it has now."""

    watched: Watched
    replicas: tuple[Replica, ...]
    balance: Balance | None
    allowance: Allowance | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the plan may use. `offers` is what the cluster file says may be bought."""

    now: datetime
    deployments: tuple[Seen, ...]
    offers: tuple[Offer, ...] = ()

    def footing(self, seen: Seen) -> Footing:
        """What the deployment's replicas cost and how they go away, the least steady offer of each kind speaking for all."""
        # A replica of `any` market may stand on spot, and nothing yet keeps it from there: the promise reckons with the worst.
        spot_share = 0.0 if seen.watched.market == Capacity.ON_DEMAND else 1.0
        return Footing(self._hourly(seen), len(seen.replicas), spot_share, self._rate(Capacity.SPOT), self._rate(Capacity.ON_DEMAND))

    def cost_ahead(self, seen: Seen) -> Money:
        """What the deployment will cost until its window ends if it keeps its floor and what it runs above it.

        Nothing where nothing runs, as after a cluster was lost, and nothing where the price is unknown.
        """
        hourly = self._hourly(seen)
        if hourly is None or seen.balance is None or not seen.replicas:
            return ZERO
        hours = max(timedelta(0), seen.balance.window_end - self.now) / timedelta(hours=1)
        return hourly * (max(len(seen.replicas), seen.allowance.floor if seen.allowance else 0) * hours)

    def _hourly(self, seen: Seen) -> Money | None:
        """The mean of the replicas that run; before any does, that of the cheapest offer. None if any price is unknown."""
        if not seen.replicas:
            offer = cheapest(self.offers, seen.watched.market, seen.watched.cpus)
            return None if offer is None else offer.price.over(3600, offer.share(seen.watched.cpus))
        known = [r.hourly for r in seen.replicas if r.hourly is not None]
        return Money(sum(h.micros for h in known) // len(known)) if len(known) == len(seen.replicas) else None

    def _rate(self, capacity: Capacity) -> Interruptions | None:
        rates = [o.interruptions for o in self.offers if o.capacity == capacity and o.interruptions]
        return max(rates, key=lambda rate: rate.recovery.seconds / rate.every.seconds, default=None)
