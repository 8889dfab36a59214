"""Journal: an Intent is written before an action is applied, its Outcome after; a Line is both, as they are read again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from mlray.govern.actions import Action, Drain, HoldJobs, Notify, PauseTrial, ResumeTrial, SetAllowance, StopCluster, StopRun
from mlray.policy.allowance import Allowance, Bound

Facts = Mapping[str, str | float]
KINDS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (SetAllowance, HoldJobs, PauseTrial, ResumeTrial, StopRun, Drain, StopCluster, Notify)
}
DONE, DROPPED = "done", "dropped"


@dataclass(frozen=True, slots=True)
class Intent:
    """What is about to be done. `policies` holds the digests of those that govern it, `facts` the numbers behind it."""

    at: datetime
    action: Action
    policies: Mapping[str, str]
    facts: Facts

    @property
    def numbers(self) -> dict[str, Any]:
        """All of the action but its reason, which has a column of its own."""
        if isinstance(self.action, SetAllowance):
            room = {name: value for name, value in asdict(self.action.allowance).items() if name != "reason"}
            return {"deployment": self.action.deployment, "policy_digest": self.action.policy_digest, "allowance": room}
        told = {"key": self.action.key} if isinstance(self.action, Notify) else {}
        return {name: value for name, value in asdict(self.action).items() if name not in ("reason", "policy")} | told


@dataclass(frozen=True, slots=True)
class Outcome:
    """`state` is done, dropped (nobody wants it any more), or "" while it failed and is tried again; `words` say more."""

    state: str
    words: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the journal. `policies`, `numbers` and `facts` are JSON; `state` is "" while there is no outcome."""

    seq: int
    at: datetime
    subject: str
    action: str
    policy: str
    policies: str
    numbers: str
    facts: str
    reason: str
    state: str
    outcome: str


def to_line(row: Mapping[Any, Any]) -> Line:
    values = {f.name: row[f.name] for f in fields(Line)}
    return Line(**{**values, "at": datetime.fromisoformat(str(row["at"]))})


def to_action(line: Line) -> Action:
    """What the line was about to do."""
    given = json.loads(line.numbers)
    if line.action == "SetAllowance":
        return SetAllowance(given["deployment"], given["policy_digest"], _allowance(given["allowance"], line.reason), line.policy)
    names = {f.name for f in fields(KINDS[line.action])}
    known = {name: value for name, value in given.items() if name in names}
    action: Action = KINDS[line.action](**known, policy=line.policy, reason=line.reason)
    return action


def allowance_of(line: Line | None) -> Allowance | None:
    return None if line is None else _allowance(json.loads(line.numbers)["allowance"], line.reason)


def _allowance(numbers: dict[str, Any], reason: str) -> Allowance:
    return Allowance(**{**numbers, "bound": Bound(numbers["bound"])}, reason=reason)
