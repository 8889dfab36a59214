"""Receipt: who spent what, grouped by stage, job, item, capacity, node, state, day or any tag."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from functools import reduce

from mlray.ledger.entry import Charge, Entry
from mlray.units import ZERO, Money

GROUPS: dict[str, Callable[[Charge], str]] = {
    "stage": lambda c: c.cause.stage,
    "job": lambda c: c.cause.job,
    "run": lambda c: c.cause.run,
    "item": lambda c: c.cause.item,
    "owner": lambda c: c.cause.owner,
    "policy": lambda c: c.cause.policy,
    "capacity": lambda c: c.usage.capacity,
    "node-type": lambda c: c.usage.node_type,
    "node": lambda c: c.usage.node,
    "state": lambda c: c.usage.state,
    "cluster": lambda c: c.usage.cluster,
    "waste": lambda c: c.waste,
    "tags": lambda c: json.dumps(c.cause.tags),
    "day": lambda c: f"{c.at.astimezone(UTC):%Y-%m-%d}",
    "hour": lambda c: f"{c.at.astimezone(UTC):%Y-%m-%dT%H:00Z}",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One group: what it used and what that cost.

    `seconds` counts each share of a node by the clock, `node_seconds` half a node for half. `savings` is what charges with a
    known list price cost less than on demand (None: no charge has one). `lost` and `idle` are the parts of `amount` that
    bought nothing. `amount_of` is GiB-months of storage; `charges` is their number.
    """

    group: tuple[str, ...]
    seconds: float
    amount: Money
    node_seconds: float = 0.0
    savings: Money | None = None
    lost: Money = ZERO
    idle: Money = ZERO
    amount_of: float = 0.0
    charges: int = 0

    def __add__(self, other: Row) -> Row:
        known = [s for s in (self.savings, other.savings) if s is not None]
        return Row(
            self.group,
            self.seconds + other.seconds,
            self.amount + other.amount,
            self.node_seconds + other.node_seconds,
            sum(known, ZERO) if known else None,
            self.lost + other.lost,
            self.idle + other.idle,
            self.amount_of + other.amount_of,
            self.charges + other.charges,
        )

    @property
    def work(self) -> Money:
        """What was neither lost nor idle."""
        return self.amount - self.lost - self.idle


@dataclass(frozen=True, slots=True)
class Receipt:
    """Rows in falling order of amount; `by` names the columns of each row's group. The rows sum to `total`."""

    by: tuple[str, ...]
    rows: tuple[Row, ...]
    total: Money

    @property
    def whole(self) -> Row:
        """All rows as one."""
        return reduce(Row.__add__, self.rows, Row(("",) * len(self.by), 0.0, ZERO))


def receipt(
    entries: Iterable[Entry], by: tuple[str, ...] = ("stage", "job", "capacity"), where: Mapping[str, str] | None = None
) -> Receipt:
    """The bill of the charges among the entries. A name in `by` or `where` that is none of GROUPS is a tag; without it, "" ."""
    charges = (e for e in entries if isinstance(e, Charge))
    asked = (where or {}).items()
    return summed(by, (_row(c, by) for c in charges if all(_value(c, name) == value for name, value in asked)))


def summed(by: tuple[str, ...], rows: Iterable[Row]) -> Receipt:
    """Rows of the same group become one."""
    groups: dict[tuple[str, ...], Row] = {}
    for row in rows:
        groups[row.group] = groups[row.group] + row if row.group in groups else row
    found = sorted(groups.values(), key=lambda r: (-r.amount.micros, r.group))
    return Receipt(by, tuple(found), sum((r.amount for r in found), ZERO))


def _value(charge: Charge, name: str) -> str:
    return str(GROUPS[name](charge)) if name in GROUPS else dict(charge.cause.tags).get(name, "")


def _row(charge: Charge, by: tuple[str, ...]) -> Row:
    usage, amount = charge.usage, charge.amount
    seconds = round(usage.seconds * 1e6) / 1e6
    return Row(
        tuple(_value(charge, name) for name in by),
        seconds,
        amount,
        round(usage.seconds * usage.share * 1e6) / 1e6,
        None if charge.list_amount is None else charge.list_amount - amount,
        amount if charge.waste == "lost" else ZERO,
        amount if charge.waste == "idle" else ZERO,
        usage.amount_of,
        1,
    )
