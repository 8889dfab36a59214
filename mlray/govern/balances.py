"""Balances: of every policy at one look, with one reading of the ledger for all whose windows have the same instants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

from mlray.errors import MlrayError
from mlray.ledger.balance import Balance, balance, since
from mlray.ledger.entry import Cause, Charge, Entry
from mlray.policy.match import Governance, governs_cause
from mlray.policy.spec import Policy


class Standing(Protocol):
    """The part of a ledger that a balance needs."""

    def standing(self, policy: str, since: tuple[datetime, ...], governs: Callable[[Cause], bool] | None = None) -> tuple[Entry, ...]: ...


def balances(governance: Governance, ledger: Standing, accrued: Mapping[str, list[Charge]], now: datetime) -> dict[str, Balance | None]:
    """By policy; None where the ledger cannot be read. `accrued` is what is run up and not booked yet.

    A thousand policies by the day are one question to the ledger: a thousand would each walk over all that was ever charged.
    """
    alike: defaultdict[tuple[datetime, ...], list[Policy]] = defaultdict(list)
    for policy in governance.policies:
        alike[since(policy.budget, now)].append(policy)
    found: dict[str, Balance | None] = {}
    for cuts, policies in alike.items():
        known = _read(governance, ledger, policies, cuts)
        for policy in policies:
            entries = None if known is None else (*known.get(policy.name, ()), *accrued.get(policy.name, ()))
            found[policy.name] = None if entries is None else balance(policy.budget, entries, now)
    return found


def _read(
    governance: Governance, ledger: Standing, policies: Sequence[Policy], cuts: tuple[datetime, ...]
) -> Mapping[str, Sequence[Entry]] | None:
    try:
        if len(policies) == 1:
            only = policies[0]
            return {only.name: ledger.standing(only.name, cuts, partial(governs_cause, only))}
        return divided(governance, ledger.standing("", cuts, _everything))
    except MlrayError:
        return None


def divided(governance: Governance, entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Entries by every policy that they count against."""
    found: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        for policy in governance.of_cause(entry.cause):
            found[policy.name].append(entry)
    return found


def _everything(cause: Cause) -> bool:
    return True
