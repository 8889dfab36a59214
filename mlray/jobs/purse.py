"""Purse: the dollars one run may spend, set aside before it starts and given back when it ends.

An edge: it writes the ledger and reads the clock. The choice, who may start with how much, is `policy.admission`'s.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial

from mlray.clock import Clock
from mlray.errors import RefusedError
from mlray.ledger.balance import balance, since
from mlray.ledger.entry import Asked, Cause, Charge, Entry, Reservation, Return
from mlray.ledger.store import LedgerStore
from mlray.policy.admission import Admitted, Ask, Refused, admit_under
from mlray.policy.claim import Claim
from mlray.policy.match import governs_cause
from mlray.policy.spec import Policy
from mlray.units import ZERO, Money

# A run whose process was killed cannot give back what it holds; after this long the dollars are free again.
LONGEST_HOLD = timedelta(days=1)


class Purse:
    """What an admitted run may still spend. `charge` books and answers with what is left."""

    def __init__(self, ledger: LedgerStore, limit: Money) -> None:
        self._ledger, self.limit = ledger, limit
        self._booked: dict[str, Money] = {}

    @property
    def spent(self) -> Money:
        return sum(self._booked.values(), ZERO)

    @property
    def left(self) -> Money:
        """Below zero where the last charge went past the limit."""
        return self.limit - self.spent

    def charge(self, *charges: Charge) -> Money:
        """Booking a charge again counts it once."""
        self._ledger.append(*charges)
        self._booked.update({charge.key: charge.amount for charge in charges})
        return self.left


@contextmanager
def purse(
    ledger: LedgerStore, policies: tuple[Policy, ...], ask: Ask, cause: Cause, clock: Clock, held: Container[str] = ()
) -> Iterator[Purse]:
    """Opens a purse for the run that `cause` names. Raises RefusedError when one of its policies does not admit it.

    The first of `policies` is the one that the run is booked under; `held` names those that admit no jobs now.
    """
    key = f"reserve/{cause.run}"
    now = clock.now()

    def decide(entries: tuple[tuple[Entry, ...], ...]) -> Reservation | Refused:
        answer = admit_under(ask, _claims(policies, entries, now, held))
        if isinstance(answer, Admitted):
            return Reservation(key, now, answer.amount, cause, now + LONGEST_HOLD)
        return answer

    opened = ledger.reserve_under(key, [_asked(policy, now) for policy in policies], decide)
    if isinstance(opened, Refused):
        name = opened.policy or policies[0].name
        raise RefusedError(opened.reason, hint=f"raise the budget of policy {name}, ask for less, or wait for its next window")
    try:
        yield Purse(ledger, opened.amount)
    finally:
        ledger.append(Return(f"return/{cause.run}", clock.now(), key, cause))


def standing(ledger: LedgerStore, policies: tuple[Policy, ...], clock: Clock, held: Container[str] = ()) -> tuple[Claim, ...]:
    """What each policy says now, in the same order."""
    now = clock.now()
    asked = [_asked(policy, now) for policy in policies]
    return _claims(policies, [ledger.standing(one.policy, one.since, one.governs) for one in asked], now, held)


def _asked(policy: Policy, now: datetime) -> Asked:
    return Asked(policy.name, since(policy.budget, now), partial(governs_cause, policy))


def _claims(policies: Iterable[Policy], entries: Iterable[tuple[Entry, ...]], now: datetime, held: Container[str]) -> tuple[Claim, ...]:
    return tuple(
        Claim(policy, balance(policy.budget, known, now), held=policy.name in held) for policy, known in zip(policies, entries, strict=True)
    )
