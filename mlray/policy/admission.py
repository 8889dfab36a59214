"""Admission: what a job asks for, against the balance -> Admitted or Refused, with the reason."""

from __future__ import annotations

from dataclasses import dataclass

from mlray.ledger.balance import Balance
from mlray.policy.explain import moment
from mlray.policy.spec import Policy
from mlray.units import Duration, Money, Price


@dataclass(frozen=True, slots=True)
class Ask:
    """What a job asks before it starts.

    `budget` is the most it may spend (None: all that is left), `least` the shortest work worth starting, `price` that
    of its cheapest node (None: unknown) and `share` the part of such a node that its smallest step takes.
    """

    stage: str
    job: str
    budget: Money | None
    least: Duration
    price: Price | None
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Admitted:
    """The job may start and spend `amount`, which is set aside for it."""

    amount: Money
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The job does not start; `reason` holds the numbers."""

    reason: str


def admit(ask: Ask, policy: Policy, balance: Balance | None) -> Admitted | Refused:
    """Whether a job may start. An unknown price or balance refuses: what cannot be counted is not spent."""
    if ask.price is None:
        return Refused(f"{ask.job} is not started: no node of this cluster that it may use has a known price")
    if balance is None:
        return Refused(f"{ask.job} is not started: the balance of policy {policy.name} cannot be read")
    left, smallest = balance.left(ask.stage), ask.price.over(ask.least.seconds, ask.share)
    asked = left if ask.budget is None else ask.budget
    work = f"{ask.least} of its cheapest node cost {smallest}"
    if ask.budget is not None and ask.budget < smallest:
        return Refused(f"{ask.job} may spend {ask.budget}, and {work}: too little to begin")
    if asked > left:
        return Refused(f"{ask.job} asks for {asked}, and policy {policy.name} has {_rest(ask, balance)}")
    if left < smallest:
        return Refused(f"{ask.job} is not started: policy {policy.name} has {_rest(ask, balance)}, and {work}")
    return Admitted(asked, f"{ask.job} may spend {asked}: policy {policy.name} has {_rest(ask, balance)}")


def _rest(ask: Ask, balance: Balance) -> str:
    most = balance.stage(ask.stage).most
    return f"{balance.left(ask.stage)} of {most} left for {ask.stage} until {moment(balance.window_end)}"
