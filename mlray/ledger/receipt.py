"""Receipt: who spent what, grouped by stage, job, item, capacity, node type, owner, policy or any tag."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

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
}


@dataclass(frozen=True, slots=True)
class Row:
    """One group: how many seconds it used (each share of a node counted by the clock), and what that cost."""

    group: tuple[str, ...]
    seconds: float
    amount: Money


@dataclass(frozen=True, slots=True)
class Receipt:
    """Rows in falling order of amount; `by` names the columns of each row's group. The rows sum to `total`."""

    by: tuple[str, ...]
    rows: tuple[Row, ...]
    total: Money


def receipt(entries: Iterable[Entry], by: tuple[str, ...] = ("stage", "job", "capacity")) -> Receipt:
    """The bill of the charges among the entries. A name in `by` that is none of GROUPS is a tag; without it, "" ."""
    groups: dict[tuple[str, ...], list[Charge]] = {}
    for entry in entries:
        if isinstance(entry, Charge):
            groups.setdefault(tuple(_value(entry, name) for name in by), []).append(entry)
    rows = sorted((_row(group, charges) for group, charges in groups.items()), key=lambda r: (-r.amount.micros, r.group))
    return Receipt(by, tuple(rows), sum((r.amount for r in rows), ZERO))


def _value(charge: Charge, name: str) -> str:
    return GROUPS[name](charge) if name in GROUPS else dict(charge.cause.tags).get(name, "")


def _row(group: tuple[str, ...], charges: list[Charge]) -> Row:
    return Row(group, sum(c.usage.seconds for c in charges), sum((c.amount for c in charges), ZERO))
