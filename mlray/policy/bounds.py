"""Bounds: several policies on one piece of work. The strictest of each bound wins, and says whose it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from mlray.ledger.entry import Cause
from mlray.policy.claim import Claim
from mlray.policy.schedule import in_force
from mlray.policy.spec import Availability, Policy, WhenShort
from mlray.units import Duration, Money, Percent, Price, Range

T = TypeVar("T", covariant=True)
CLASSES = ("public", "internal", "personal", "secret")


@dataclass(frozen=True, slots=True)
class By(Generic[T]):
    """One bound, and the name of the policy that sets it."""

    value: T
    policy: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """What several policies leave together; None where none of them says anything. `least` and `most` are replicas.

    `left` holds None where a balance cannot be read. A node must fit every one of `spot_zones` and `regions`.
    """

    left: By[Money | None]
    rate: By[Price] | None
    min_ready: By[int]
    least: By[int]
    most: By[int]
    target: By[Percent]
    survive: By[int]
    zones: By[int]
    cold_start: By[Duration] | None
    spot_share: By[Percent]
    on_demand: By[int]
    spot_zones: tuple[By[tuple[str, ...]], ...]
    rebuy: By[Duration]
    when_short: By[WhenShort]
    grace: By[Duration]
    keep: By[Duration] | None
    highest_class: By[str] | None
    regions: tuple[By[tuple[str, ...]], ...]
    idle_stop: By[Duration] | None
    time_to_live: By[Duration] | None

    @property
    def replicas(self) -> Range:
        """Where a promise is above what another policy allows at most, the range gives way to the promise."""
        return Range(self.least.value, max(self.least.value, self.min_ready.value + self.survive.value, self.most.value))


def strictest(claims: Iterable[Claim], cause: Cause, now: datetime) -> Bounds | None:
    """The bounds of work under several policies at one instant: least money, highest promise, fewest replicas, narrowest data.

    Between equal ones the name that sorts first. None without a policy.
    """
    known = sorted(claims, key=lambda claim: claim.policy.name)
    if not known:
        return None
    policies = [claim.policy for claim in known]
    promises = [(in_force(policy, now).availability, policy.name) for policy in policies]
    left = [(_left(claim, cause), claim.policy.name) for claim in known]
    return Bounds(
        left=By(*min(left, key=lambda one: (one[0] is not None, one[0].micros if one[0] else 0))),
        rate=_least(policies, lambda p: p.budget.rate),
        min_ready=_promise(promises, lambda a: a.min_ready),
        least=_promise(promises, lambda a: a.replicas.low),
        most=By(*min(((a.replicas.high, name) for a, name in promises), key=lambda one: one[0])),
        target=_promise(promises, lambda a: a.target),
        survive=_promise(promises, lambda a: a.survive),
        zones=_promise(promises, lambda a: a.zones),
        cold_start=_least(policies, lambda p: p.availability.cold_start),
        spot_share=_one(policies, lambda p: p.spot.share, min),
        on_demand=_one(policies, lambda p: p.spot.on_demand, max),
        spot_zones=tuple(By(p.spot.zones, p.name) for p in policies if p.spot.zones),
        rebuy=_one(policies, lambda p: p.spot.rebuy, max),
        when_short=_one(policies, lambda p: p.budget.when_short.serve, lambda some, key: max(some, key=lambda p: key(p) == WhenShort.STOP)),
        grace=_one(policies, lambda p: p.budget.grace, min),
        keep=_least(policies, lambda p: p.data.keep),
        highest_class=_least(policies, lambda p: p.data.highest_class, CLASSES.index),
        regions=tuple(By(p.data.regions, p.name) for p in policies if p.data.regions),
        idle_stop=_least(policies, lambda p: p.clusters.idle_stop),
        time_to_live=_least(policies, lambda p: p.clusters.time_to_live),
    )


def kept(declared: Duration | None, policies: Iterable[Policy]) -> Duration | None:
    """How long a version may be kept: as its job says, and no longer than any of its policies does; None where nobody says."""
    said = (declared, *(policy.data.keep for policy in policies))
    return min((keep for keep in said if keep is not None), default=None)


def _left(claim: Claim, cause: Cause) -> Money | None:
    return None if claim.balance is None else claim.balance.left(cause.stage, cause.run, cause.job, cause.tags)


def _least(policies: Sequence[Policy], of: Callable[[Policy], Any], rank: Callable[[Any], Any] = lambda value: value) -> By[Any] | None:
    """Of those that say something."""
    said = [(of(policy), policy.name) for policy in policies if of(policy) is not None]
    return By(*min(said, key=lambda one: rank(one[0]))) if said else None


def _one(policies: Sequence[Policy], of: Callable[[Policy], Any], choose: Callable[..., Policy]) -> By[Any]:
    chosen = choose(policies, key=of)
    return By(of(chosen), chosen.name)


def _promise(promises: Sequence[tuple[Availability, str]], of: Callable[[Availability], Any]) -> By[Any]:
    highest = max(promises, key=lambda one: of(one[0]))
    return By(of(highest[0]), highest[1])
