"""Purse: the dollars one run may spend, set aside before it starts and given back when it ends.

An edge: it writes the ledger and reads the clock. The choice, who may start with how much, is `policy.admission`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from mlray.clock import Clock
from mlray.errors import RefusedError
from mlray.ledger.balance import Balance, balance, since
from mlray.ledger.entry import Cause, Charge, Entry, Reservation, Return
from mlray.ledger.store import LedgerStore
from mlray.policy.admission import Admitted, Ask, Refused, admit
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
def purse(ledger: LedgerStore, policy: Policy, ask: Ask, cause: Cause, clock: Clock) -> Iterator[Purse]:
    """Opens a purse for the run that `cause` names. Raises RefusedError when the policy does not admit it."""
    key = f"reserve/{cause.run}"
    now = clock.now()

    def decide(entries: tuple[Entry, ...]) -> Reservation | Refused:
        answer = admit(ask, policy, balance(policy.budget, entries, now))
        if isinstance(answer, Admitted):
            return Reservation(key, now, answer.amount, cause, now + LONGEST_HOLD)
        return answer

    held = ledger.reserve(key, policy.name, since(policy.budget, now), decide)
    if isinstance(held, Refused):
        raise RefusedError(held.reason, hint=f"raise the budget of policy {policy.name}, ask for less, or wait for its next window")
    try:
        yield Purse(ledger, held.amount)
    finally:
        ledger.append(Return(f"return/{cause.run}", clock.now(), key, cause))


def standing(ledger: LedgerStore, policy: Policy, clock: Clock) -> Balance:
    """The balance of a policy now."""
    now = clock.now()
    return balance(policy.budget, ledger.standing(policy.name, since(policy.budget, now)), now)
