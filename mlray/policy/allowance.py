"""Allowance: what the policy promises and the balance can pay, as the room a deployment has to scale."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from math import comb

from mlray.ledger.balance import Balance
from mlray.market.spec import Interruptions
from mlray.policy.explain import moment
from mlray.policy.spec import Availability, Policy, Stage, WhenShort
from mlray.units import ZERO, Money


@dataclass(frozen=True, slots=True)
class Footing:
    """What a deployment's replicas stand on.

    `hourly` is what one replica costs for an hour (None: unknown). `spot_share` is the part of the replicas that may be
    on spot; `spot` and `on_demand` say how such nodes go away (None: the cluster file does not say).
    """

    hourly: Money | None
    running: int
    spot_share: float
    spot: Interruptions | None = None
    on_demand: Interruptions | None = None


HOUR = timedelta(hours=1)
# At exactly what the money pays, a replica would come and go with every cent; a new one must be paid with some left.
TO_SPARE = 0.05


class Bound(StrEnum):
    """What bounds a deployment: its policy alone, money that is short, gone, or given up on, or what is not known."""

    OPEN = "open"
    SHORT = "short"
    SPENT = "spent"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Allowance:
    """The room to scale until the next look: `floor..ceiling` replicas, `spot_share` of them on spot at most, and why."""

    floor: int
    ceiling: int
    spot_share: float
    reason: str
    bound: Bound = Bound.OPEN


@dataclass(frozen=True, slots=True)
class Floor:
    """The fewest replicas that keep the promise, and why. `met` is false where even the most allowed do not."""

    replicas: int
    met: bool
    reason: str


def allow(
    policy: Policy, balance: Balance | None, footing: Footing, now: datetime, others: Money = ZERO, before: Allowance | None = None
) -> Allowance:
    """The room a deployment has until its budget renews.

    `others` is what the other deployments of the policy will have cost by then if they go on as they are; `before` is
    the room it has now. The floor comes from the promise, the ceiling from the money. An unknown price or balance holds
    the floor and lets nothing grow.
    """
    floor, high = solve_floor(policy.availability, footing), policy.availability.replicas.high
    room = partial(Allowance, floor.replicas, spot_share=footing.spot_share)
    if balance is None or footing.hourly is None:
        what = "balance of the policy" if balance is None else "price of a replica"
        return _held(before or room(high, reason=""), footing, what)
    if balance.left(Stage.SERVE) <= ZERO:
        return _spent(policy, balance, floor, footing)
    left = max(ZERO, balance.left(Stage.SERVE) - others)
    paid = _paid(left, footing.hourly, footing.running, (balance.window_end - now) / HOUR)
    why = f"{floor.reason}; {left} left pays {_count(paid)} at {footing.hourly}/h each until {moment(balance.window_end)}"
    if paid < floor.replicas:
        return room(floor.replicas, reason=f"{why}: the floor is held, nothing grows", bound=Bound.SHORT)
    return room(min(paid, high), reason=why, bound=Bound.OPEN if paid >= high else Bound.SHORT)


def solve_floor(promise: Availability, footing: Footing) -> Floor:
    """The smallest n with P(at least min_ready of n replicas are ready) >= target, inside the replicas allowed."""
    low, high = max(promise.replicas.low, promise.min_ready), promise.replicas.high
    single = ready_share(footing)
    if single is None:
        return Floor(low, False, f"{low} held for {promise.min_ready} ready; how often spot is interrupted is not declared")
    kept = {n: at_least(promise.min_ready, n, single) for n in range(low, high + 1)}
    enough = [n for n, chance in kept.items() if chance >= promise.target.fraction]
    if not enough:
        return Floor(
            high,
            False,
            f"target {promise.target} cannot be met: {high} replicas keep {promise.min_ready} ready {_percent(kept[high])} of the time",
        )
    n = enough[0]
    return Floor(n, True, f"{n} keep {promise.min_ready} ready {_percent(kept[n])} of the time (target {promise.target})")


def ready_share(footing: Footing) -> float | None:
    """The share of time one replica is ready, averaged over spot and on-demand; None where spot's is not declared.

    Per capacity type: time between interruptions / (that + recovery), the steady-state availability of an alternating
    renewal process (Barlow and Proschan, Mathematical Theory of Reliability, 1965). On-demand without interruptions
    declared stays ready. Averaging two types is on the safe side: by Hoeffding (Annals of Math. Statistics 27, 1956,
    theorem 4) unequal chances keep "at least k" at least as likely as their mean, for k up to the expected number.
    """
    if footing.spot_share > 0 and footing.spot is None:
        return None
    spot, steady = _steady(footing.spot), _steady(footing.on_demand)
    return footing.spot_share * spot + (1 - footing.spot_share) * steady


def at_least(k: int, n: int, chance: float) -> float:
    """P(Binomial(n, chance) >= k): k of n replicas ready, each on its own.

    Replicas that go away together break the independence: nine of ten interruptions of one type and zone fall within
    minutes of each other, so a promise above what one zone holds needs several.
    """
    missing = sum(comb(n, i) * chance**i * (1 - chance) ** (n - i) for i in range(min(k, n + 1)))
    return max(0.0, 1.0 - missing)


def _steady(rate: Interruptions | None) -> float:
    return 1.0 if rate is None else rate.every.seconds / (rate.every.seconds + rate.recovery.seconds)


def _held(before: Allowance, footing: Footing, what: str) -> Allowance:
    ceiling = max(before.floor, min(footing.running, before.ceiling))
    reason = f"the {what} is not known, so nothing grows: {before.floor} to {ceiling} held"
    return Allowance(before.floor, ceiling, footing.spot_share, reason, Bound.UNKNOWN)


def _spent(policy: Policy, balance: Balance, floor: Floor, footing: Footing) -> Allowance:
    gone, n = f"no money is left for serve until {moment(balance.window_end)}", floor.replicas
    if policy.budget.when_short.serve == WhenShort.STOP:
        return Allowance(0, 0, footing.spot_share, f"{gone}; when_short: stop gives up the floor of {n}", Bound.STOPPED)
    return Allowance(n, n, footing.spot_share, f"{floor.reason}; {gone}; when_short: keep-floor holds it", Bound.SPENT)


def _paid(left: Money, hourly: Money, running: int, hours: float) -> int:
    """Whole replicas that `left` pays for `hours`: those that run to the last cent, more only with TO_SPARE."""
    each = hourly.micros * hours
    if each <= 0:
        return 1_000_000
    return max(int(left.micros / (each * (1 + TO_SPARE))), min(int(left.micros / each), running))


def _count(paid: int) -> str:
    return "more than 1000 replicas" if paid > 1000 else f"{paid} replica{'' if paid == 1 else 's'}"


def _percent(chance: float) -> str:
    """Rounded down to four decimals, so that 99.9999% never reads as a certainty."""
    return f"{int(chance * 1_000_000) / 10_000:g}%"
