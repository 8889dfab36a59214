"""Claim: what one policy has to say about one piece of work."""

from __future__ import annotations

from dataclasses import dataclass

from mlray.ledger.balance import Balance
from mlray.policy.spec import Policy
from mlray.units import ZERO, Money


@dataclass(frozen=True, slots=True)
class Claim:
    """A policy that governs the work, and its balance now (None: it cannot be read).

    `others` is what the policy's other deployments will have cost when its window ends, if they go on as they are. `held` says that its
    governor admits no jobs under it for now.
    """

    policy: Policy
    balance: Balance | None
    others: Money = ZERO
    held: bool = False
