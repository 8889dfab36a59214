"""Spending: what each window of each policy's budget had, and what went."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from mlray.ledger.balance import Balance, balance, since
from mlray.ledger.entry import Cause
from mlray.ledger.window import window
from mlray.policy.spec import Policy
from mlray.simulate.book import Book
from mlray.units import ZERO, Money

INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class WindowSpent:
    """One window of a budget. `amount` holds what was carried over; `left` is never below $0.00, and `overspent` what went beyond."""

    policy: str
    start: datetime
    end: datetime
    amount: Money
    spent: Money
    left: Money
    overspent: Money


def balance_of(book: Book, policy: Policy, now: datetime, governs: Callable[[Cause], bool] | None = None) -> Balance:
    """The balance of a policy, folded from the ledger as it is live."""
    return balance(policy.budget, book.standing(policy.name, since(policy.budget, now), governs), now)


def windows(
    book: Book, policy: Policy, start: datetime, end: datetime, governs: Callable[[Cause], bool] | None = None
) -> Iterator[WindowSpent]:
    """Every window that a replay from `start` to `end` touched, as it stood at its last instant, or at the replay's."""
    now = start
    while now < end:
        period = window(policy.budget.every, now, policy.budget.time_zone)
        found = balance_of(book, policy, min(period.end, end) - INSTANT, governs)
        over = found.spent - found.amount
        yield WindowSpent(policy.name, period.start, period.end, found.amount, found.spent, max(ZERO, -over), max(ZERO, over))
        now = period.end
