"""Plan: a Snapshot -> ordered actions, each with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from mlray.govern.actions import Action, Notify, SetAllowance
from mlray.govern.snapshot import Seen, Snapshot
from mlray.policy.allowance import Allowance, Bound, allow
from mlray.units import ZERO

Sacrifice = Callable[[Allowance, Allowance], bool]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, first things first. An empty plan means that everything stays as it is."""

    at: datetime
    actions: tuple[Action, ...]


def stops_growth(before: Allowance, after: Allowance) -> bool:
    return after.bound == Bound.UNKNOWN


def lowers_the_ceiling(before: Allowance, after: Allowance) -> bool:
    return after.ceiling < before.ceiling and after.floor >= before.floor


def gives_up_the_floor(before: Allowance, after: Allowance) -> bool:
    return after.floor < before.floor


# The order of sacrifice: what frees money is done in this order, and only then does anything grow. Before it comes what
# is decided elsewhere with the same balance: jobs are no longer admitted, and searches end at the limit they were given.
ORDER: tuple[Sacrifice, ...] = (stops_growth, lowers_the_ceiling, gives_up_the_floor)


def plan(snapshot: Snapshot) -> Plan:
    """A new allowance for each deployment whose numbers change, and a word to people where the reason does."""
    changes = [(seen, _allow(snapshot, seen)) for seen in snapshot.deployments]
    ordered = sorted(changes, key=lambda change: _rank(change[0].allowance, change[1]))
    return Plan(snapshot.now, tuple(action for seen, after in ordered for action in _actions(seen, after)))


def _allow(snapshot: Snapshot, seen: Seen) -> Allowance:
    mine = seen.watched
    others = [s for s in snapshot.deployments if s.watched.policy.name == mine.policy.name and s.watched.deployment != mine.deployment]
    ahead = sum((snapshot.cost_ahead(other) for other in others), ZERO)
    return allow(mine.policy, seen.balance, snapshot.footing(seen), snapshot.now, ahead, seen.allowance)


def _rank(before: Allowance | None, after: Allowance) -> int:
    matching = [place for place, sacrifice in enumerate(ORDER) if before and sacrifice(before, after)]
    return matching[0] if matching else len(ORDER)


def _actions(seen: Seen, after: Allowance) -> tuple[Action, ...]:
    before, name, digest = seen.allowance, seen.watched.deployment, seen.watched.policy.digest
    given = (SetAllowance(name, digest, after),) if before is None or _numbers(before) != _numbers(after) else ()
    told = (Notify(name, digest, _sentence(name, after)),) if after.bound != (before.bound if before else Bound.OPEN) else ()
    return (*given, *told)


def _numbers(allowance: Allowance) -> tuple[int, int, float, Bound]:
    return allowance.floor, allowance.ceiling, allowance.spot_share, allowance.bound


def _sentence(name: str, after: Allowance) -> str:
    return f"{name} may run {after.floor} to {after.ceiling} replicas: {after.reason}"
