"""Meter: usage x price -> Charge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mlray.ledger.entry import Cause, Charge, Usage
from mlray.units import Price


@dataclass(frozen=True, slots=True)
class Metered:
    """How far an item is charged: the instant its last slice ended, and its seconds in all."""

    until: datetime
    seconds: float


def charge(
    key: str, at: datetime, usage: Usage, price: Price, cause: Cause, before: float = 0.0, on_demand: Price | None = None, waste: str = ""
) -> Charge:
    """What `usage` costs at the price of a whole node for an hour, and what it would have cost at the price `on_demand`.

    Work charged in slices passes as `before` the seconds already charged: the amount is then the difference of two
    totals, each rounded half-even to the micro-dollar, so the slices sum to exactly what the whole would have cost.
    """
    if usage.seconds < 0 or before < 0 or not 0 <= usage.share <= 1:
        raise ValueError(f"usage of {usage.seconds} s after {before} s at share {usage.share}: seconds are not negative, a share is 0..1")
    # To the microsecond: 0.1 + 0.2 seconds must end where 0.3 seconds begin.
    start, end = round(before, 6), round(before + usage.seconds, 6)
    amount = price.over(end, usage.share) - price.over(start, usage.share)
    listed = on_demand.over(end, usage.share) - on_demand.over(start, usage.share) if on_demand else None
    return Charge(key, at, amount, cause, usage, listed, waste)
