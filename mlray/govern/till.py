"""Till: charges replicas to the ledger, each second once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlray.errors import StoreError
from mlray.govern.metering import Lived, due
from mlray.ledger.entry import Charge
from mlray.ledger.meter import Metered
from mlray.ledger.store import LedgerStore

# A replica is charged in slices of at least this length while it lives, and to its end when it is gone.
SLICE_S = 15.0


class Till:
    """Charges replicas to the ledger. What it remembers only saves asking the ledger again."""

    def __init__(self, ledger: LedgerStore, slice_s: float) -> None:
        self._ledger, self._slice_s = ledger, slice_s
        self._lived: dict[str, Lived] = {}
        self._metered: dict[str, Metered | None] = {}

    def charge(self, lived: Iterable[Lived], all_of_it: bool) -> None:
        """Books what is due. What cannot be booked now stays owed; what is gone is charged to when it was last seen."""
        now = {one.item: one for one in lived}
        gone = [one for item, one in self._lived.items() if item not in now]
        self._lived |= now
        try:
            self._look_up()
            known = {item: metered for item, metered in self._metered.items() if metered}
            self._book(due(now.values(), known, 0.0 if all_of_it else self._slice_s) + due(gone, known, 0.0), known)
        except StoreError:
            self._metered.clear()  # the ledger may know better
            return
        for one in gone:
            del self._lived[one.item], self._metered[one.item]

    def _look_up(self) -> None:
        new = [item for item in self._lived if item not in self._metered]
        found = self._ledger.charged(new) if new else {}
        self._metered |= {item: found.get(item) for item in new}

    def _book(self, charges: tuple[Charge, ...], known: Mapping[str, Metered]) -> None:
        self._ledger.append(*charges)
        for one in charges:
            before = known[one.cause.item].seconds if one.cause.item in known else 0.0
            self._metered[one.cause.item] = Metered(one.at, before + one.usage.seconds)
