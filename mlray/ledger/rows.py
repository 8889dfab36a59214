"""Rows: the ledger's one table, and entries to and from its rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Column, Connection, Float, Index, RowMapping, String, Table, Text, event

from mlray.database import CATALOGUE
from mlray.ledger.entry import Cause, Charge, Entry, Reservation, Return, Usage
from mlray.units import Money

Value = str | int | float | None
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

# Times are whole microseconds since 1970 UTC and dollars whole micro-dollars: equal in every database.
ENTRIES = Table(
    "ledger_entries",
    CATALOGUE,
    Column("key", String(255), primary_key=True),
    Column("kind", String(12), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("micros", BigInteger, nullable=False),
    Column("policy", String(255), nullable=False),
    Column("stage", String(12), nullable=False),
    Column("job", String(255), nullable=False),
    Column("run", String(255), nullable=False),
    Column("item", String(255), nullable=False),
    Column("owner", String(255), nullable=False),
    Column("tags", Text, nullable=False),
    Column("node_type", String(255), nullable=False),
    Column("capacity", String(12), nullable=False),
    Column("seconds", Float(53), nullable=False),
    Column("share", Float(53), nullable=False),
    Column("reservation", String(255), nullable=False),
    Column("until_us", BigInteger, nullable=True),
    Index("ledger_entries_policy_at", "policy", "at_us"),
    Index("ledger_entries_run", "run"),
    Index("ledger_entries_item", "item"),
)

# The database itself refuses what the ledger never does, whoever asks for it.
_REFUSE = "'ledger entries are never changed'"
FROZEN = {
    "sqlite": tuple(
        f"CREATE TRIGGER ledger_no_{verb.lower()} BEFORE {verb} ON ledger_entries BEGIN SELECT RAISE(ABORT, {_REFUSE}); END"
        for verb in ("UPDATE", "DELETE")
    ),
    "postgresql": (
        f"CREATE FUNCTION ledger_frozen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION {_REFUSE}; END $$",
        "CREATE TRIGGER ledger_frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_frozen()",
    ),
}


@event.listens_for(ENTRIES, "after_create")
def _freeze(table: Table, connection: Connection, **given: object) -> None:
    for statement in FROZEN.get(connection.dialect.name, ()):
        connection.exec_driver_sql(statement)


def microseconds(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND


def instant(at_us: int) -> datetime:
    return EPOCH + at_us * MICROSECOND


def to_row(entry: Entry) -> dict[str, Value]:
    """Every column, so that two entries are the same exactly when their rows are."""
    cause, usage = entry.cause, entry.usage if isinstance(entry, Charge) else Usage("", "", 0.0, 0.0)
    until = entry.until if isinstance(entry, Reservation) else None
    return {
        "key": entry.key,
        "kind": type(entry).__name__.lower(),
        "at_us": microseconds(entry.at),
        "micros": 0 if isinstance(entry, Return) else entry.amount.micros,
        "policy": cause.policy,
        "stage": str(cause.stage),
        "job": cause.job,
        "run": cause.run,
        "item": cause.item,
        "owner": cause.owner,
        "tags": json.dumps(cause.tags),
        "node_type": usage.node_type,
        "capacity": str(usage.capacity),
        "seconds": float(usage.seconds),
        "share": float(usage.share),
        "reservation": entry.reservation if isinstance(entry, Return) else "",
        "until_us": microseconds(until) if until else None,
    }


def to_entry(row: RowMapping) -> Entry:
    key, at, amount = str(row["key"]), instant(_int(row["at_us"])), Money(_int(row["micros"]))
    if row["kind"] == "return":
        return Return(key, at, str(row["reservation"]), _cause(row))
    if row["kind"] == "reservation":
        return Reservation(key, at, amount, _cause(row), None if row["until_us"] is None else instant(_int(row["until_us"])))
    usage = Usage(str(row["node_type"]), str(row["capacity"]), float(str(row["seconds"])), float(str(row["share"])))
    return Charge(key, at, amount, _cause(row), usage)


def _cause(row: RowMapping) -> Cause:
    tags = tuple((str(name), str(value)) for name, value in json.loads(str(row["tags"])))
    texts = {name: str(row[name]) for name in ("stage", "job", "policy", "run", "item", "owner")}
    return Cause(**texts, tags=tags)


def _int(value: object) -> int:
    return int(str(value))
