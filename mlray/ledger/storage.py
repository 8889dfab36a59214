"""Storage: bytes that are kept, for whole hours, at a price per GiB and month."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mlray.ledger.entry import Cause, Charge, Usage
from mlray.units import Money

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
# A twelfth of 365 days, as clouds reckon a month for an hourly price.
MONTH_HOURS = 730
GIB = 2**30
# A home that nobody looked after for longer is charged for this much: what it held then nobody knows.
LONGEST = timedelta(days=31)


def item(store: str) -> str:
    """What a store is called in the ledger: how far it is charged is asked under this name."""
    return f"storage:{store}"


def storage_due(
    store: str, stored_bytes: int, per_gib_month: Money, charged_to: datetime | None, now: datetime, cause: Cause
) -> tuple[Charge, ...]:
    """A charge for each whole hour after `charged_to` (the newest charge of `item(store)`; None: the hour before this one).

    What the store holds now speaks for all of them. `cause` has stage "data". An hour costs the difference of two rounded
    totals since 1970, so that a small store's hours do not all round to nothing: a constant size is charged to within one
    micro-dollar, however many hours pass.
    """
    last = int((now - EPOCH) // HOUR)
    first = last - 1 if charged_to is None else max((charged_to - EPOCH) // HOUR + 1, (now - LONGEST - EPOCH) // HOUR)
    gib_hours = stored_bytes / GIB / MONTH_HOURS
    mine = replace(cause, item=item(store))
    return tuple(_hour(store, hour, gib_hours, stored_bytes, per_gib_month, mine) for hour in range(int(first), last))


def _hour(store: str, hour: int, gib_months: float, stored_bytes: int, per_gib_month: Money, cause: Cause) -> Charge:
    usage = Usage("", "", 0.0, 0.0, state="storage", amount_of=gib_months)
    at = EPOCH + (hour + 1) * HOUR - timedelta(microseconds=1)
    amount = _total(stored_bytes, per_gib_month, hour + 1) - _total(stored_bytes, per_gib_month, hour)
    return Charge(f"{cause.item}/{hour}", at, amount, cause, usage)


def _total(stored_bytes: int, per_gib_month: Money, hours: int) -> Money:
    return Money(per_gib_month.micros * stored_bytes * hours // (GIB * MONTH_HOURS))
