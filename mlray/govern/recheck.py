"""Recheck: a Plan against a newer Snapshot -> the actions that still hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from mlray.govern.actions import Action, SetAllowance
from mlray.govern.plan import Plan, plan
from mlray.govern.snapshot import Snapshot

# Prices, balances and replicas seen longer ago than this say nothing about now; a look is taken every few seconds.
OLDEST = timedelta(minutes=1)


def too_old(looked: datetime | None, now: datetime) -> bool:
    """Whether what was decided then may no longer be relied on. Never having looked is too old."""
    return looked is None or now - looked > OLDEST


def recheck(drafted: Plan, newer: Snapshot) -> Plan:
    """Keeps the actions on deployments that are still governed by the same wording of their policy.

    Room to grow holds only while the newer snapshot gives as much: money may have gone meanwhile. Taking room away is
    always safe, and the next look gives it back.
    """
    return replace(drafted, actions=tuple(action for action in drafted.actions if _holds(action, newer)))


def _holds(action: Action, newer: Snapshot) -> bool:
    seen = [s for s in newer.deployments if s.watched.deployment == action.deployment]
    if not seen or seen[0].watched.policy.digest != action.policy_digest:
        return False
    if not isinstance(action, SetAllowance):
        return True
    before = seen[0].allowance
    grows = before is None or action.allowance.ceiling > before.ceiling
    return not grows or action.allowance.ceiling <= _ceiling(newer, action)


def _ceiling(newer: Snapshot, action: SetAllowance) -> int:
    wanted = [a for a in plan(newer).actions if isinstance(a, SetAllowance) and a.deployment == action.deployment]
    return wanted[0].allowance.ceiling if wanted else -1
