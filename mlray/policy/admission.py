"""Admission: what a job asks for, against every policy that governs it -> Admitted or Refused, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from mlray.ledger.balance import Balance
from mlray.ledger.bounds import Tightest
from mlray.ledger.entry import Tags
from mlray.policy.bounds import CLASSES
from mlray.policy.claim import Claim
from mlray.policy.explain import left_of
from mlray.policy.spec import Policy
from mlray.units import ZERO, Duration, Money, Price


@dataclass(frozen=True, slots=True)
class Ask:
    """What a job asks before it starts.

    `budget` is the most it may spend (None: all that is left), `least` the shortest work worth starting, `price` that
    of its cheapest node (None: unknown) and `share` the part of such a node that its smallest step takes. `hourly` is what all of it will
    cost an hour (None: as much as its smallest step). `zones` are those of every node it may use, "" for one without a
    name, and `classes` those of the columns it reads. `booked` is the name its charges bear, where that is not the job's.
    """

    stage: str
    job: str
    budget: Money | None
    least: Duration
    price: Price | None
    share: float = 1.0
    tags: Tags = ()
    hourly: Money | None = None
    zones: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    booked: str = ""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The job may start and spend `amount`, which is set aside for it. `policy` is the one that leaves it the least."""

    amount: Money
    reason: str
    policy: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """The job does not start; `reason` holds the numbers, and `policy` is the one that says so ("" for none)."""

    reason: str
    policy: str = ""


def admit(ask: Ask, policy: Policy, balance: Balance | None) -> Admitted | Refused:
    """Whether a job may start under one policy. An unknown price or balance refuses: what cannot be counted is not spent."""
    return admit_under(ask, (Claim(policy, balance),))


def admit_under(ask: Ask, claims: Sequence[Claim]) -> Admitted | Refused:
    """Whether a job may start under all of them; the first that says no is named. Without a policy nothing may start."""
    if not claims:
        return Refused(f"{ask.job} is not started: no policy governs it")
    if ask.price is None:
        return Refused(f"{ask.job} is not started: no node of this cluster that it may use has a known price")
    smallest = ask.price.over(ask.least.seconds, ask.share)
    work = f"{ask.least} of its cheapest node cost {smallest}"
    if ask.budget is not None and ask.budget < smallest:
        return Refused(f"{ask.job} may spend {ask.budget}, and {work}: too little to begin")
    for claim in claims:
        if refused := _refused(ask, claim, ask.price):
            return refused
    left, tightest = min(((_tightest(ask, claim.balance), claim) for claim in claims if claim.balance), key=lambda one: one[0].left)
    rest = _rest(ask, tightest)
    asked = left.left if ask.budget is None else ask.budget
    name = tightest.policy.name
    if asked > left.left:
        return Refused(f"{ask.job} asks for {asked}, and {rest}", name)
    if left.left < smallest:
        return Refused(f"{ask.job} is not started: {rest}, and {work}", name)
    return Admitted(asked, f"{ask.job} may spend {asked}: {rest}", name)


def _refused(ask: Ask, claim: Claim, price: Price) -> Refused | None:
    """What one policy has against the job before its money is counted."""
    why = (
        _held(claim)
        or (f"the balance of policy {claim.policy.name} cannot be read" if claim.balance is None else "")
        or _class(ask, claim.policy)
        or _region(ask, claim.policy)
        or _rate(ask, claim, price)
    )
    return Refused(f"{ask.job} is not started: {why}", claim.policy.name) if why else None


def _held(claim: Claim) -> str:
    return f"policy {claim.policy.name} admits no jobs now, for its money is short" if claim.held else ""


def _class(ask: Ask, policy: Policy) -> str:
    highest = policy.data.highest_class
    if highest is None:
        return ""
    above = sorted({c for c in ask.classes if c not in CLASSES or CLASSES.index(c) > CLASSES.index(highest)})
    return f"it reads {' and '.join(above)} columns, and policy {policy.name} allows none above {highest}" if above else ""


def _region(ask: Ask, policy: Policy) -> str:
    """Every node it may use must stand where its data may be read: which of them it will be is not known before."""
    allowed = policy.data.regions
    if not allowed:
        return ""
    only = f"policy {policy.name} lets its data be read only in {', '.join(allowed)}"
    if not ask.zones:
        return f"where it would run is not known, and {only}"
    outside = sorted({zone for zone in ask.zones if not any(fnmatchcase(zone, pattern) for pattern in allowed)})
    return f"it may run in {', '.join(zone or 'a zone without a name' for zone in outside)}, and {only}" if outside else ""


def _rate(ask: Ask, claim: Claim, price: Price) -> str:
    """The last hour stands for what already runs: work that ended meanwhile counts until the hour is over."""
    rate, balance, name = claim.policy.budget.rate, claim.balance, claim.policy.name
    if rate is None or balance is None or balance.hour is None:
        return ""
    asked = price.over(3600, ask.share) if ask.hourly is None else ask.hourly
    if balance.burn + asked > rate.per_hour:
        return f"it costs {asked}/h, and policy {name} spent {balance.burn} in the last hour of at most {rate}"
    return "" if balance.hour.left > ZERO else f"policy {name} has spent the {rate.per_hour} of this hour"


def _tightest(ask: Ask, balance: Balance) -> Tightest:
    return balance.tightest(ask.stage, job=ask.booked or ask.job, tags=ask.tags)


def _rest(ask: Ask, claim: Claim) -> str:
    assert claim.balance is not None
    return f"policy {claim.policy.name} has {left_of(claim.balance, ask.stage, _tightest(ask, claim.balance))}"
