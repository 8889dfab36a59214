"""May this caller do this to that: Permitted, or Denied with the reason. What is not granted is denied."""

from __future__ import annotations

from dataclasses import dataclass

from mlray.access.spec import Action, Role

# The whole matrix: the least role that each action takes.
LEAST: dict[Action, Role] = {
    Action.STATUS: Role.VIEWER,
    Action.PREDICT: Role.VIEWER,
    Action.SUBMIT: Role.SUBMITTER,
    Action.STOP: Role.SUBMITTER,
    Action.DEPLOY: Role.OPERATOR,
    Action.CLUSTER: Role.OPERATOR,
    Action.POLICY: Role.OPERATOR,
    Action.TOKENS: Role.ADMIN,
}
RANK = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the id of the token (never the token), its owner and its role."""

    token: str
    owner: str
    role: Role


@dataclass(frozen=True, slots=True)
class Permitted:
    """The caller may."""


@dataclass(frozen=True, slots=True)
class Denied:
    """The caller may not; `reason` is the sentence they are told."""

    reason: str


def permit(caller: Caller, action: Action, item: str) -> Permitted | Denied:
    """Whether the caller may do `action` to `item` (a deployment, job, cluster, policy)."""
    least = LEAST[action]
    if RANK[caller.role] >= RANK[least]:
        return Permitted()
    return Denied(f"the role {caller.role} may not {action} {item}: it takes the role {least} or above")
