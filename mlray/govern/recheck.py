"""Recheck: a Plan against a newer Snapshot -> the actions that still hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property

from mlray.govern.actions import Action, Drain, HoldJobs, Notify, PauseTrial, ResumeTrial, SetAllowance, StopCluster, StopRun
from mlray.govern.plan import Plan, plan, wording
from mlray.govern.snapshot import Seen, Snapshot, TrialSeen, TrialState

# Prices, balances and replicas seen longer ago than this say nothing about now; a look is taken every few seconds.
OLDEST = timedelta(minutes=1)


def too_old(looked: datetime | None, now: datetime) -> bool:
    """Whether what was decided then may no longer be relied on. Never having looked is too old."""
    return looked is None or now - looked > OLDEST


def recheck(drafted: Plan, newer: Snapshot) -> Plan:
    """Keeps the actions whose subjects are still there, governed by the same wording, and not yet as the action would make them.

    What grows, and what cannot be taken back, holds only while the newer snapshot asks for it too: money may have gone meanwhile, or have
    come. Taking room away and pausing are always safe, and the next look gives back.
    """
    look = _Newer(newer)
    return replace(drafted, actions=tuple(action for action in drafted.actions if look.holds(action)))


def same(one: Action, other: Action) -> bool:
    """Whether two actions would do the same, whatever their reasons."""
    if isinstance(one, SetAllowance) and isinstance(other, SetAllowance):
        return one.deployment == other.deployment and replace(one.allowance, reason="") == replace(other.allowance, reason="")
    if isinstance(one, Notify) or isinstance(other, Notify):
        return isinstance(one, Notify) and isinstance(other, Notify) and one.key == other.key
    held = isinstance(one, HoldJobs) and isinstance(other, HoldJobs) and one.held != other.held
    return type(one) is type(other) and one.subject == other.subject and not held


def shown(action: Action, now: Snapshot) -> bool:
    """Whether the world is as the action would make it: after a restart it need not be done again."""
    match action:
        case PauseTrial():
            return _trial(now, action.run, action.trial, TrialState.PAUSED) is not None
        case ResumeTrial():
            return _trial(now, action.run, action.trial, TrialState.RUNNING) is not None
        case StopRun():
            return all(run.run != action.run for run in now.runs)
        case Drain():
            return all(node.id != action.node or node.state == "draining" for node in now.nodes)
        case StopCluster():
            return all(node.cluster != action.cluster for node in now.nodes)
        case SetAllowance() | HoldJobs() | Notify():
            return False


class _Newer:
    """A newer snapshot, and what it would have done; that is asked only where an action needs it."""

    def __init__(self, now: Snapshot) -> None:
        self._now = now
        self._digests: dict[str, str] = {}
        self._seen = {seen.watched.deployment: seen for seen in now.deployments}

    @cached_property
    def _wanted(self) -> tuple[Action, ...]:
        return plan(self._now).actions

    @cached_property
    def _rooms(self) -> dict[str, SetAllowance]:
        return {a.deployment: a for a in self._wanted if isinstance(a, SetAllowance)}

    def holds(self, action: Action) -> bool:
        match action:
            case SetAllowance():
                return self._allows(action, self._seen.get(action.deployment))
            case HoldJobs():
                return action.held != (action.policy in self._now.held) and (action.held or self._asks(action))
            case PauseTrial():
                return _trial(self._now, action.run, action.trial, TrialState.RUNNING) is not None
            case Notify():
                return action.key not in self._now.told
            case ResumeTrial() | StopRun() | Drain() | StopCluster():
                return self._asks(action)

    def _asks(self, action: Action) -> bool:
        return any(same(action, other) for other in self._wanted)

    def _allows(self, action: SetAllowance, seen: Seen | None) -> bool:
        if seen is None or wording(self._now, seen, self._digests) != action.policy_digest:
            return False
        grows = seen.allowance is None or action.allowance.ceiling > seen.allowance.ceiling or action.allowance.floor > seen.allowance.floor
        newer = self._rooms.get(action.deployment)
        return not grows or (newer is not None and action.allowance.ceiling <= newer.allowance.ceiling)


def _trial(now: Snapshot, run: str, trial: str, state: TrialState) -> TrialSeen | None:
    found = (t for r in now.runs if r.run == run for t in r.trials if t.id == trial and t.state == state)
    return next(found, None)
