"""What the governor does: give a deployment its room to scale, and tell people when the reason has changed."""

from __future__ import annotations

from dataclasses import dataclass

from mlray.policy.allowance import Allowance


@dataclass(frozen=True, slots=True)
class SetAllowance:
    """The deployment may scale inside `allowance` from now on; `reason` is the allowance's."""

    deployment: str
    policy_digest: str
    allowance: Allowance

    @property
    def reason(self) -> str:
        return self.allowance.reason


@dataclass(frozen=True, slots=True)
class Notify:
    """People are told once that what bounds the deployment has changed, such as from open to short."""

    deployment: str
    policy_digest: str
    reason: str


Action = SetAllowance | Notify
