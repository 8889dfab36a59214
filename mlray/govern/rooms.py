"""Rooms: the allowance of every deployment from all policies that govern it, held still where it would only flap."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mlray.govern.means import SUSTAINED_H, Means, freed
from mlray.govern.snapshot import Seen, Snapshot
from mlray.govern.tally import Cost, Tally
from mlray.ledger.balance import Balance
from mlray.market.spec import Capacity, Interruptions
from mlray.policy.allowance import Allowance, Bound, allow_under
from mlray.policy.claim import Claim
from mlray.policy.floor import Footing
from mlray.units import ZERO, Duration, Money

UNGOVERNED = "no policy governs it, so nothing grows"
UNREAD = "a policy that governs it cannot be read, so nothing grows"


def rooms(snapshot: Snapshot, tally: Tally, known: Mapping[str, Means], idle_runs: frozenset[str]) -> dict[str, Allowance]:
    """By deployment. What `idle_runs` hold counts as free."""
    ground = _Ground.of(snapshot, tally, known, idle_runs)
    return {seen.watched.deployment: _room(ground, seen) for seen in snapshot.deployments}


def floor_rates(snapshot: Snapshot, tally: Tally, allowances: Mapping[str, Allowance]) -> dict[str, float]:
    """What the floors of these allowances cost an hour, in micro-dollars by policy."""
    rates: defaultdict[str, float] = defaultdict(float)
    for seen in snapshot.deployments:
        hourly = tally.serving[seen.watched.deployment].hourly
        for name in seen.policies:
            rates[name] += allowances[seen.watched.deployment].floor * (hourly.micros if hourly else 0)
    return rates


@dataclass(frozen=True, slots=True)
class _Ground:
    """What all deployments share. `ahead` is what those of each policy cost an hour, `rates` how spot and on-demand nodes go away."""

    snapshot: Snapshot
    tally: Tally
    known: Mapping[str, Means]
    balances: Mapping[str, Balance | None]
    ahead: Mapping[str, float]
    rates: tuple[Interruptions | None, Interruptions | None]
    zones: Mapping[str, tuple[str, ...]]
    tick: Duration

    @classmethod
    def of(cls, snapshot: Snapshot, tally: Tally, known: Mapping[str, Means], idle_runs: frozenset[str]) -> _Ground:
        balances = (
            {name: b if b is None else freed(b, idle_runs) for name, b in snapshot.balances.items()} if idle_runs else snapshot.balances
        )
        rates = _rate(snapshot, Capacity.SPOT), _rate(snapshot, Capacity.ON_DEMAND)
        zones = {market: _zones(snapshot, market) for market in {s.watched.market for s in snapshot.deployments}}
        return cls(snapshot, tally, known, balances, _ahead(snapshot, tally), rates, zones, Duration(snapshot.tick_s))

    def claim(self, name: str, mine: float) -> Claim:
        """`others` is what the policy's other deployments cost until its window ends."""
        found = self.known.get(name)
        others = Money(max(0, int((self.ahead[name] - mine) * found.hours))) if found else ZERO
        return Claim(self.snapshot.policies[name], self.balances.get(name), others)

    def footing(self, seen: Seen, cost: Cost) -> Footing:
        """A replica of `any` market may stand on spot, and nothing yet keeps it from there: the promise reckons with the worst."""
        market = seen.watched.market
        return Footing(cost.hourly, cost.running, 0.0 if market == Capacity.ON_DEMAND else 1.0, *self.rates, zones=self.zones[market])


def _room(ground: _Ground, seen: Seen) -> Allowance:
    before, cost, policies = seen.allowance, ground.tally.serving[seen.watched.deployment], ground.snapshot.policies
    if not seen.policies or any(name not in policies for name in seen.policies):
        return _held(before, cost, UNREAD if seen.policies else UNGOVERNED)
    claims = [ground.claim(name, _lasting(seen, cost)) for name in seen.policies]
    after = allow_under(claims, seen.watched.cause, ground.footing(seen, cost), ground.snapshot.now, before, ground.tick)
    if before is None:
        return after
    if not ground.snapshot.readable and _grows(before, after):
        return _held(before, cost, "the policies in force cannot be read, so nothing grows")
    return before if _too_early(before, after, seen, cost, ground.known) else after


def _too_early(before: Allowance, after: Allowance, seen: Seen, cost: Cost, known: Mapping[str, Means]) -> bool:
    """A floor that was given up comes back only where its money lasts a while: it would go again at the next look."""
    if before.bound != Bound.STOPPED or after.bound == Bound.STOPPED or cost.hourly is None:
        return False
    needs = cost.hourly.micros * after.floor
    return not all(needs * min(SUSTAINED_H, known[n].hours) <= known[n].at_once for n in seen.policies if n in known)


def _grows(before: Allowance, after: Allowance) -> bool:
    return after.ceiling > before.ceiling or after.floor > before.floor


def _held(before: Allowance | None, cost: Cost, why: str) -> Allowance:
    if before is None:
        return Allowance(cost.running, cost.running, 0.0, f"{why}: {cost.running} held", Bound.UNKNOWN)
    ceiling = max(before.floor, min(before.ceiling, cost.running))
    return replace(before, ceiling=ceiling, reason=f"{why}: {before.floor} to {ceiling} held", bound=Bound.UNKNOWN)


def _ahead(snapshot: Snapshot, tally: Tally) -> dict[str, float]:
    """What the deployments of each policy cost an hour if they keep their floors and what they run above them."""
    rates: defaultdict[str, float] = defaultdict(float)
    for seen in snapshot.deployments:
        rate = _lasting(seen, tally.serving[seen.watched.deployment])
        for name in seen.policies:
            rates[name] += rate
    return rates


def _lasting(seen: Seen, cost: Cost) -> float:
    """Nothing where nothing runs, as after a cluster was lost, and nothing where the price is unknown."""
    if cost.hourly is None or not cost.running:
        return 0.0
    return cost.hourly.micros * max(cost.running, seen.allowance.floor if seen.allowance else 0)


def _rate(snapshot: Snapshot, capacity: Capacity) -> Interruptions | None:
    """The least steady offer of a kind speaks for all."""
    rates = [o.interruptions for o in snapshot.offers if o.capacity == capacity and o.interruptions]
    return max(rates, key=lambda rate: rate.recovery.seconds / rate.every.seconds, default=None)


def _zones(snapshot: Snapshot, market: str) -> tuple[str, ...]:
    """Where replicas of a market may stand; of `any`, where there is spot, for that is what goes away by the zone."""
    capacity = Capacity.SPOT if market == "any" else market
    return tuple(sorted({o.zone for o in snapshot.offers if o.capacity == capacity}))
