"""What the governor does. Each action may be applied twice and then counts once; each has its reason and the policy that asks for it."""

from __future__ import annotations

from dataclasses import dataclass

from mlray.policy.allowance import Allowance


@dataclass(frozen=True, slots=True)
class SetAllowance:
    """The deployment may scale inside `allowance` from now on. `policy_digest` is that of all its policies' wordings."""

    deployment: str
    policy_digest: str
    allowance: Allowance
    policy: str = ""

    @property
    def subject(self) -> str:
        return self.deployment

    @property
    def reason(self) -> str:
        return self.allowance.reason


@dataclass(frozen=True, slots=True)
class HoldJobs:
    """Jobs that the policy governs are admitted no more (`held`), or are again."""

    policy: str
    held: bool
    reason: str

    @property
    def subject(self) -> str:
        return f"jobs of {self.policy}"


@dataclass(frozen=True, slots=True)
class PauseTrial:
    """The trial stops where it is, its last checkpoint kept, until ResumeTrial."""

    run: str
    trial: str
    policy: str
    reason: str

    @property
    def subject(self) -> str:
        return f"{self.run}/{self.trial}"


@dataclass(frozen=True, slots=True)
class ResumeTrial:
    """A trial that the governor paused goes on from its last checkpoint."""

    run: str
    trial: str
    policy: str
    reason: str

    @property
    def subject(self) -> str:
        return f"{self.run}/{self.trial}"


@dataclass(frozen=True, slots=True)
class StopRun:
    """The run ends for good: a search keeps its best model so far, an ingest keeps no version."""

    run: str
    policy: str
    reason: str

    @property
    def subject(self) -> str:
        return self.run


@dataclass(frozen=True, slots=True)
class Drain:
    """Work leaves the node, which then goes: what ran there goes on on cheaper offers."""

    node: str
    policy: str
    reason: str

    @property
    def subject(self) -> str:
        return self.node


@dataclass(frozen=True, slots=True)
class StopCluster:
    """The cluster is taken down, its head included, once its charges are booked."""

    cluster: str
    policy: str
    reason: str

    @property
    def subject(self) -> str:
        return self.cluster


@dataclass(frozen=True, slots=True)
class Notify:
    """People are told of `bound`, such as short, 80% or unknown; once for each subject, bound and window of the policy."""

    subject: str
    bound: str
    window: str
    policy: str
    reason: str

    @property
    def key(self) -> str:
        return f"{self.subject}|{self.bound}|{self.policy}|{self.window}"


Action = SetAllowance | HoldJobs | PauseTrial | ResumeTrial | StopRun | Drain | StopCluster | Notify
