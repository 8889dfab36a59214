"""Change: how a policy comes into force: asked for with a reason, approved where it must be, and never half.

A fold over events that are only ever added, so that who changed what, when and why can be told for as long as the home lives.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from mlray.errors import RefusedError, SpecError
from mlray.policy.spec import Policy


class Step(StrEnum):
    """What one event did. Its policy is the one that it is about; None where the policy is to govern no longer."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    APPLIED = "applied"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Event:
    """One step in the life of the policy called `name`. `before` and `after` are digests, "" for no policy."""

    step: Step
    name: str
    policy: Policy | None
    before: str
    who: str
    why: str
    at: datetime

    @property
    def after(self) -> str:
        return self.policy.digest if self.policy else ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that waits: it counts once `needed` people beside its author have approved it."""

    event: Event
    needed: int
    approvers: tuple[str, ...]
    approved: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        return max(0, self.needed - len(self.approved))


@dataclass(frozen=True, slots=True)
class Standing:
    """One name as it stands now: what is in force since when, and what waits."""

    name: str
    in_force: Policy | None = None
    since: datetime | None = None
    proposal: Proposal | None = None

    @property
    def digest(self) -> str:
        return self.in_force.digest if self.in_force else ""


def standing(name: str, events: Iterable[Event]) -> Standing:
    """Folds the events of one name, oldest first."""
    now = Standing(name)
    for event in events:
        now = _after(now, event)
    return now


def ask(now: Standing, policy: Policy | None, who: str, why: str, at: datetime) -> tuple[Event, ...]:
    """The events that follow when somebody wants `policy` in force (None: that it governs no longer).

    A change that needs approval waits as a proposal and takes the place of one that waited. What is in force already gives
    none. How many must approve is the larger of what the policy in force and the new one say: no change can free itself.
    """
    if not why.strip():
        raise SpecError("a change of policy needs a reason", hint='add --why "..."; it is kept with the change')
    if policy is None and now.in_force is None:
        raise SpecError(f"no policy {now.name} is in force", hint="see mlray policy list")
    if (policy.digest if policy else "") == now.digest:
        return ()
    event = Event(Step.APPLIED, now.name, policy, now.digest, who, why.strip(), at)
    return (replace(event, step=Step.PROPOSED),) if _needed(now.in_force, policy) else (event,)


def approve(now: Standing, who: str, why: str, at: datetime) -> tuple[Event, ...]:
    """The events that follow when somebody approves what waits; with the last approval it is applied."""
    proposal = now.proposal
    if proposal is None:
        raise SpecError(f"nothing waits for policy {now.name}", hint="see mlray policy list")
    asked = proposal.event
    if asked.who == who:
        raise RefusedError(f"{who} asked for this change of policy {now.name}", hint="somebody else must approve it")
    if proposal.approvers and who not in proposal.approvers:
        raise RefusedError(f"{who} may not approve policy {now.name}", hint=f"these may: {', '.join(proposal.approvers)}")
    if who in proposal.approved:
        return ()
    event = Event(Step.APPROVED, now.name, asked.policy, asked.before, who, why.strip(), at)
    applied = replace(asked, step=Step.APPLIED, at=at)
    return (event, applied) if proposal.missing <= 1 else (event,)


def drop(now: Standing, who: str, why: str, at: datetime) -> tuple[Event, ...]:
    """The event that follows when a proposal is taken back, or turned down by one who might have approved it."""
    if now.proposal is None:
        raise SpecError(f"nothing waits for policy {now.name}", hint="see mlray policy list")
    asked = now.proposal.event
    return (Event(Step.DROPPED, now.name, asked.policy, asked.before, who, why.strip(), at),)


def _after(now: Standing, event: Event) -> Standing:
    match event.step:
        case Step.PROPOSED:
            needed, approvers = _needed(now.in_force, event.policy), _approvers(now.in_force, event.policy)
            return replace(now, proposal=Proposal(event, needed, approvers))
        case Step.APPROVED:
            waits = now.proposal
            return replace(now, proposal=waits and replace(waits, approved=(*waits.approved, event.who)))
        case Step.DROPPED:
            return replace(now, proposal=None)
        case Step.APPLIED:
            return Standing(now.name, event.policy, event.at if event.policy else None)


def _needed(before: Policy | None, after: Policy | None) -> int:
    return max(policy.approvals if policy else 0 for policy in (before, after))


def _approvers(before: Policy | None, after: Policy | None) -> tuple[str, ...]:
    """The list in force decides who may change it; a policy that demands approval for the first time brings its own."""
    named = [policy.approvers for policy in (before, after) if policy and policy.approvals]
    return named[0] if named else ()
