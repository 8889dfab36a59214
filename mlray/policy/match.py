"""Which policies govern a job or a deployment; where there are several, the strictest bound wins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from mlray.ledger.balance import Balance
from mlray.policy.spec import Policy, Stage
from mlray.units import Money, Range


@dataclass(frozen=True, slots=True)
class Bounds:
    """What several policies leave together. `left_by` is the policy whose balance is the smallest."""

    left: Money
    left_by: str
    min_ready: int
    replicas: Range


def governs(policy: Policy, kind: str, name: str, tags: Mapping[str, str]) -> bool:
    """Whether a policy applies: by the name of the job or deployment, or by the tag `team`. Patterns are the shell's."""
    names = policy.governs.deployments if kind == Stage.SERVE else policy.governs.jobs
    team = tags.get("team", "")
    return _matches(names, name) or (bool(team) and _matches(policy.governs.teams, team))


def governing(policies: Iterable[Policy], kind: str, name: str, tags: Mapping[str, str]) -> tuple[Policy, ...]:
    """The policies that apply, in the order of their names."""
    return tuple(sorted((p for p in policies if governs(p, kind, name, tags)), key=lambda p: p.name))


def strictest(governed: Iterable[tuple[Policy, Balance]], stage: str) -> Bounds | None:
    """The bounds of work under several policies: least money left, highest promise, fewest replicas.

    Where the highest promise is above the fewest replicas, the range gives way to the promise. None without a policy.
    """
    known = tuple(governed)
    if not known:
        return None
    left, left_by = min((balance.left(stage), policy.name) for policy, balance in known)
    promises = [policy.availability for policy, _ in known]
    min_ready = max(p.min_ready for p in promises)
    low = max(p.replicas.low for p in promises)
    high = max(min_ready, low, min(p.replicas.high for p in promises))
    return Bounds(left, left_by, min_ready, Range(low, high))


def _matches(patterns: Iterable[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
