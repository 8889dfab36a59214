"""Room: what one policy alone would give a deployment: its floor, and how many replicas its money and its rate pay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from mlray.ledger.balance import Balance
from mlray.ledger.bounds import Tightest
from mlray.ledger.entry import Cause
from mlray.policy.claim import Claim
from mlray.policy.floor import Floor, Footing, solve_floor
from mlray.policy.schedule import InForce, in_force
from mlray.policy.spec import Policy, SpotTolerance, Stage, WhenShort
from mlray.units import ZERO, Duration, Money

HOUR = timedelta(hours=1)
# At exactly what the money pays, a replica would come and go with every cent; a new one must be paid with some left.
TO_SPARE = 0.05
UNBOUNDED = 1_000_000


@dataclass(frozen=True, slots=True)
class Room:
    """What one policy alone would give. `found` is the tightest of its bounds, None where its balance cannot be read.

    `paid` and `rated` are the replicas that its money and its hourly rate pay; `stops` says that the floor is given up now.
    """

    claim: Claim
    promise: InForce
    floor: Floor
    found: Tightest | None
    paid: int
    rated: int
    stops: bool

    @property
    def left(self) -> Money:
        return self.found.left if self.found else ZERO

    @property
    def pays(self) -> int:
        return min(self.paid, self.rated)


def room(claim: Claim, cause: Cause, footing: Footing, terms: SpotTolerance, now: datetime, tick: Duration, given: int) -> Room:
    """`given` is how many replicas may run or do already: what the money pays to the last cent is not taken back."""
    promise = in_force(claim.policy, now)
    floor = solve_floor(promise.availability, footing, terms)
    balance, hourly = claim.balance, footing.hourly
    if balance is None:
        return Room(claim, promise, floor, None, 0, 0, False)
    found = balance.tightest(cause.stage, cause.run, cause.job, cause.tags)
    if hourly is None:
        return Room(claim, promise, floor, found, 0, 0, _stops(claim.policy, found, 0.0))
    hours = max(0.0, (balance.window_end - now) / HOUR)
    beside = claim.others.micros / hours if hours else 0.0
    paid = _paid(max(0, found.left.micros - claim.others.micros), hourly.micros * hours, given)
    rated = _rated(claim, balance, hourly, beside, given)
    # What was given up would begin again with what is left, were only what runs counted.
    soon = (hourly.micros * max(footing.running, floor.replicas) + beside) * min(hours, tick.seconds / 3600)
    return Room(claim, promise, floor, found, paid, rated, _stops(claim.policy, found, soon))


def _stops(policy: Policy, found: Tightest, soon: float) -> bool:
    """Whether the floor is given up now: its owner said so, and the money is gone, will be by the next look, or was for the grace."""
    if policy.budget.when_short.serve != WhenShort.STOP:
        return False
    grace = policy.budget.grace.seconds
    if grace <= 0:
        return found.left.micros <= soon
    return found.left <= ZERO and (found.gone_hours is None or found.gone_hours * 3600 >= grace)


def _rated(claim: Claim, balance: Balance, hourly: Money, beside: float, given: int) -> int:
    """Whole replicas that the hourly rate leaves room for, beside the policy's other deployments and what its jobs cost of late.

    None above the floor once the hour is spent. A little more is let pass: a charge that began in the last hour counts in this one.
    """
    rate = claim.policy.budget.rate
    if rate is None:
        return UNBOUNDED
    if balance.hour is not None and balance.hour.spent.micros > balance.hour.most.micros * (1 + TO_SPARE):
        return 0
    jobs = balance.burn.micros - balance.stage(Stage.SERVE).burn.micros
    return _paid(max(0.0, rate.per_hour.micros - beside - max(0, jobs)), float(hourly.micros), given)


def _paid(left: float, each: float, given: int) -> int:
    """Whole replicas that `left` pays: those that were given to the last cent, more only with TO_SPARE."""
    if each <= 0:
        return UNBOUNDED
    return max(int(left / (each * (1 + TO_SPARE))), min(int(left / each), given))
