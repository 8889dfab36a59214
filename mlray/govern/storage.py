"""StorageMeter: what a store holds is weighed and charged once an hour, by whichever governor comes first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Protocol

from mlray.ledger.entry import Cause, Charge, Entry
from mlray.ledger.meter import Metered
from mlray.ledger.storage import EPOCH, HOUR, item, storage_due
from mlray.units import StoragePrice


class Settled(Protocol):
    """A ledger that tells how far an item is charged and books what follows, in one transaction."""

    def settle(self, items: Iterable[str], due: Callable[[Mapping[str, Metered]], Iterable[Entry]]) -> tuple[Entry, ...]: ...


class StorageMeter:
    """One store of one home. `weigh` tells its bytes, `price` what a GiB costs now; None: it is not charged.

    Both may take their time and are asked once an hour. Charges are of stage `data` and job `storage`, under no policy: they
    count against one that governs a job of this name.
    """

    def __init__(self, store: str, weigh: Callable[[], int], price: Callable[[], StoragePrice | None], ledger: Settled) -> None:
        self._store, self._weigh, self._price, self._ledger = store, weigh, price, ledger
        self._hour = -1

    def look(self, now: datetime) -> tuple[Entry, ...]:
        """Charges the hours that are over and were not charged. Raises what the store, the cluster file or the ledger raise."""
        hour = int((now - EPOCH) // HOUR)
        if hour == self._hour:
            return ()
        price = self._price()
        booked = () if price is None else self._book(price, self._weigh(), now)
        self._hour = hour
        return booked

    def _book(self, price: StoragePrice, stored: int, now: datetime) -> tuple[Entry, ...]:
        name = item(self._store)

        def due(charged: Mapping[str, Metered]) -> tuple[Charge, ...]:
            until = charged[name].until if name in charged else None
            return storage_due(self._store, stored, price.per_gib_month, until, now, Cause("data", "storage", ""))

        return self._ledger.settle((name,), due)
