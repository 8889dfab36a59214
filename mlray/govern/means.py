"""Means: what one policy has left and what its work needs, as the plan weighs them. Amounts are micro-dollars as floats."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from mlray.govern.snapshot import Running, Snapshot
from mlray.govern.tally import HOUR_S, Tally, hours, trials_burn
from mlray.ledger.balance import Balance, Held
from mlray.policy.explain import moment
from mlray.policy.room import TO_SPARE
from mlray.policy.spec import Policy
from mlray.units import Money

# What grows again must be paid for this long, or until the window ends: at one tick's money it would come and go.
SUSTAINED_H = 0.25


@dataclass(frozen=True, slots=True)
class Means:
    """One policy's money now.

    `left` is what is not spent, reserved or not, and `at_once` that or what the hourly rate leaves of this hour, if that is less;
    `burn` is what its work costs an hour, `hours` how long its window still is, `tick_h` how long until the next look. `floors` is what the
    promised replicas cost until then; `ahead` what each run may still cost. `gone` says that `left` does not pay until the next look,
    `acting` that it is gone and the grace is over, and `fast` that this hour's rate does not pay until then.
    """

    policy: Policy
    balance: Balance
    left: float
    at_once: float
    burn: float
    hours: float
    tick_h: float
    floors: float
    ahead: Mapping[str, float]
    gone: bool
    fast: bool
    acting: bool

    @property
    def needed(self) -> float:
        return self.floors + sum(self.ahead.values())

    @property
    def short(self) -> bool:
        """Whether the promised replicas and the runs that go on cost more than there is."""
        return self.gone or self.fast or self.needed > self.left

    def pays(self, needed: float, burn: float) -> bool:
        """Whether something may grow: its needs are met with some to spare, now and for a while."""
        sustained = burn * min(SUSTAINED_H, self.hours)
        return self.at_once > 0 and needed <= self.left * (1 - TO_SPARE) and sustained <= self.at_once * (1 - TO_SPARE)

    @property
    def sentence(self) -> str:
        left, needs = Money(int(self.left)), Money(int(self.needed))
        return f"policy {self.policy.name} has {left} until {moment(self.balance.window_end)} and its work needs {needs}"


def means(snapshot: Snapshot, tally: Tally) -> dict[str, Means]:
    """By policy; one whose balance cannot be read has none."""
    floors, runs = _floors(snapshot, tally), _runs(snapshot)
    return {
        name: _means(snapshot, tally, policy, balance, floors.get(name, 0.0), runs.get(name, ()))
        for name, policy in snapshot.policies.items()
        if (balance := snapshot.balances.get(name)) is not None
    }


def ahead(run: Running, rate: float, left_h: float) -> float:
    """What a run may still cost: no more than its reservation, and no longer than the window."""
    cost = rate * left_h
    return cost if run.reserved is None else min(cost, float(run.reserved.micros))


def _means(
    snapshot: Snapshot, tally: Tally, policy: Policy, balance: Balance, floor_rate: float, runs: tuple[Running, ...] | list[Running]
) -> Means:
    left_h, tick_h, burn = hours(balance.window_end, snapshot.now), snapshot.tick_s / HOUR_S, tally.burn.get(policy.name, 0.0)
    left, soon = float(balance.amount.micros - balance.spent.micros), burn * tick_h
    at_once = min(left, _rest_of_hour(balance, left))
    gone, fast = left <= soon, at_once < left and at_once <= soon
    acting = gone and _grace_is_over(policy, -left, burn)
    waiting = {run.run: ahead(run, trials_burn(run), left_h) for run in runs}
    return Means(policy, balance, left, at_once, burn, left_h, tick_h, floor_rate * left_h, waiting, gone, fast, acting)


def _rest_of_hour(balance: Balance, otherwise: float) -> float:
    """A little more is let pass: a slice that began in the hour before counts in this one."""
    return otherwise if balance.hour is None else balance.hour.most.micros * (1 + TO_SPARE) - balance.hour.spent.micros


def _grace_is_over(policy: Policy, overspent: float, burn: float) -> bool:
    """Money that ran out at this burn ran out `overspent / burn` hours ago."""
    grace = policy.budget.grace.seconds
    return grace <= 0 or burn <= 0 or overspent / burn * HOUR_S >= grace


def _floors(snapshot: Snapshot, tally: Tally) -> dict[str, float]:
    """What promised replicas cost an hour, by policy. Nothing where nothing runs, as after a cluster was lost."""
    rates: defaultdict[str, float] = defaultdict(float)
    for seen in snapshot.deployments:
        cost = tally.serving[seen.watched.deployment]
        if seen.allowance is None or cost.hourly is None or not cost.running:
            continue
        rate = cost.hourly.micros * seen.allowance.floor
        for name in seen.policies:
            rates[name] += rate
    return rates


def freed(balance: Balance, runs: frozenset[str]) -> Balance:
    """The balance with what these runs hold given back: trials that are paused spend nothing until they go on."""
    loose = tuple(h for h in balance.held if h.cause.run in runs)
    if not loose:
        return balance
    return replace(
        balance,
        reserved=balance.reserved - _sum(loose),
        by_stage=tuple(replace(s, reserved=s.reserved - _sum(h for h in loose if h.cause.stage == s.stage)) for s in balance.by_stage),
        by_limit=tuple(replace(m, reserved=m.reserved - _sum(h for h in loose if m.scope.includes(h.cause))) for m in balance.by_limit),
        held=tuple(h for h in balance.held if h.cause.run not in runs),
    )


def _sum(held: Iterable[Held]) -> Money:
    return Money(sum(h.amount.micros for h in held))


def _runs(snapshot: Snapshot) -> dict[str, list[Running]]:
    found: defaultdict[str, list[Running]] = defaultdict(list)
    for run in snapshot.runs:
        for name in run.policies:
            found[name].append(run)
    return found
