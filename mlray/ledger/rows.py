"""Rows: the ledger's tables of entries and groups, and entries to and from their rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, RowMapping, String, Table, Text, text

from mlray.database import CATALOGUE, frozen
from mlray.ledger.entry import Cause, Charge, Entry, Reservation, Return, Usage
from mlray.units import Money

Value = str | int | float | None
Group = tuple[str, ...]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
NAMES = ("policy", "stage", "job", "run", "owner", "tags", "node_type", "capacity", "node", "state", "cluster", "waste")
NO_USAGE = Usage("", "", 0.0, 0.0, state="")

# What many entries share is written once: an entry, and each row of the roll-up, holds the group's number.
GROUPS = Table(
    "ledger_groups",
    CATALOGUE,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    *(Column(name, Text if name == "tags" else String(255), nullable=False) for name in NAMES),
    Index("ledger_groups_policy", "policy"),
    Index("ledger_groups_run", "run"),
    Index("ledger_groups_node", "node"),
)

# The conditions of two indices, word for word what a query must say to be answered from them: a bound '' is not known to be one.
NAMED_ITEM, RETURNED = "item <> ''", "reservation <> ''"

# Times are whole microseconds since 1970 UTC, dollars whole micro-dollars and GiB whole billionths: equal in every database.
ENTRIES = Table(
    "ledger_entries",
    CATALOGUE,
    Column("key", String(255), primary_key=True),
    Column("kind", String(12), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("grp", BigInteger, ForeignKey("ledger_groups.id"), nullable=False),
    Column("micros", BigInteger, nullable=False),
    Column("list_micros", BigInteger, nullable=True),
    Column("item", String(255), nullable=False),
    Column("seconds_us", BigInteger, nullable=False),
    Column("node_us", BigInteger, nullable=False),
    Column("share", Float(53), nullable=False),
    Column("nanos", BigInteger, nullable=False),
    Column("reservation", String(255), nullable=False),
    Column("until_us", BigInteger, nullable=True),
    Index("ledger_entries_at", "at_us"),
    Index("ledger_entries_grp_at", "grp", "at_us"),
    Index("ledger_entries_item", "item", sqlite_where=text(NAMED_ITEM), postgresql_where=text(NAMED_ITEM)),
    Index("ledger_entries_return", "reservation", sqlite_where=text(RETURNED), postgresql_where=text(RETURNED)),
)

# Reservations that no Return has ended: few, however long the ledger grew.
OPEN = Table(
    "ledger_open",
    CATALOGUE,
    Column("key", String(255), ForeignKey("ledger_entries.key"), primary_key=True),
    Column("until_us", BigInteger, nullable=True),
)

frozen(ENTRIES, "ledger entries")
frozen(GROUPS, "ledger entries")


def microseconds(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND


def instant(at_us: int) -> datetime:
    return EPOCH + at_us * MICROSECOND


def group(entry: Entry) -> Group:
    """The values of NAMES. What only charges have is "" in other entries."""
    usage = entry.usage if isinstance(entry, Charge) else NO_USAGE
    waste = entry.waste if isinstance(entry, Charge) else ""
    c = entry.cause
    used = (usage.node_type, str(usage.capacity), usage.node, usage.state, usage.cluster, waste)
    return (c.policy, str(c.stage), c.job, c.run, c.owner, tags_text(c.tags), *used)


@lru_cache(maxsize=4096)
def tags_text(tags: tuple[tuple[str, str], ...]) -> str:
    return json.dumps(tags)


@lru_cache(maxsize=1 << 16)
def number(of: Group) -> int:
    """A group's number is made of its values, so that every writer gives it the same without asking."""
    return int.from_bytes(blake2b(json.dumps(of).encode(), digest_size=8).digest()) >> 1


def to_row(entry: Entry) -> dict[str, Value]:
    """Every column, so that two entries are the same exactly when their rows are. Seconds are held to the microsecond."""
    usage = entry.usage if isinstance(entry, Charge) else NO_USAGE
    until = entry.until if isinstance(entry, Reservation) else None
    listed = entry.list_amount if isinstance(entry, Charge) else None
    return {
        "key": entry.key,
        "kind": type(entry).__name__.lower(),
        "at_us": microseconds(entry.at),
        "grp": number(group(entry)),
        "micros": 0 if isinstance(entry, Return) else entry.amount.micros,
        "list_micros": None if listed is None else listed.micros,
        "item": entry.cause.item,
        "seconds_us": round(usage.seconds * 1e6),
        "node_us": round(usage.seconds * usage.share * 1e6),
        "share": float(usage.share),
        "nanos": round(usage.amount_of * 1e9),
        "reservation": entry.reservation if isinstance(entry, Return) else "",
        "until_us": microseconds(until) if until else None,
    }


def to_entry(row: RowMapping) -> Entry:
    """From a row of ENTRIES joined to its group."""
    key, at, amount = str(row["key"]), instant(_int(row["at_us"])), Money(_int(row["micros"]))
    if row["kind"] == "return":
        return Return(key, at, str(row["reservation"]), _cause(row))
    if row["kind"] == "reservation":
        return Reservation(key, at, amount, _cause(row), None if row["until_us"] is None else instant(_int(row["until_us"])))
    listed = None if row["list_micros"] is None else Money(_int(row["list_micros"]))
    return Charge(key, at, amount, _cause(row), _usage(row), listed, str(row["waste"]))


def tags_of(held: object) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(value)) for name, value in json.loads(str(held)))


def _usage(row: RowMapping) -> Usage:
    texts = {name: str(row[name]) for name in ("node_type", "capacity", "node", "state", "cluster")}
    return Usage(**texts, seconds=_int(row["seconds_us"]) / 1e6, share=float(str(row["share"])), amount_of=_int(row["nanos"]) / 1e9)


def _cause(row: RowMapping) -> Cause:
    texts = {name: str(row[name]) for name in ("stage", "job", "policy", "run", "item", "owner")}
    return Cause(**texts, tags=tags_of(row["tags"]))


def _int(value: object) -> int:
    return int(str(value))
