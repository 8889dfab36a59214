"""One SQLAlchemy engine for every store: SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, Table, create_engine, event, make_url, text

from mlray.home import private_folder

# Every store declares its tables on this one catalogue and calls `tables(engine)` before its first statement.
CATALOGUE = MetaData()

# One number for every writer of mlray in a PostgreSQL database; any constant does, as long as it stays the same.
WRITERS = 0x6D6C726179


@lru_cache(maxsize=8)
def connect(url: str) -> Engine:
    """The engine for a URL, made once per process. SQLite is opened in WAL mode with full fsync."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    if parsed.database and parsed.database != ":memory:":
        private_folder(Path(parsed.database).parent)
    engine = create_engine(parsed, connect_args={"timeout": 30})
    event.listen(engine, "connect", _durable)
    return engine


def tables(engine: Engine) -> Engine:
    """Creates the tables of the catalogue that are missing. Safe when several processes do it at once."""
    with writing(engine) as connection:
        CATALOGUE.create_all(connection)
    return engine


def frozen(table: Table, what: str) -> Table:
    """The table; the database itself lets nobody change its rows. `what` they are, such as `ledger entries`, is in its refusal."""

    def freeze(made: Table, connection: Connection, **given: object) -> None:
        for statement in _frozen(table.name, f"'{what} are never changed'", connection.dialect.name):
            connection.exec_driver_sql(statement)

    event.listen(table, "after_create", freeze)
    return table


def _frozen(table: str, refusal: str, dialect: str) -> tuple[str, ...]:
    if dialect == "sqlite":
        refuse = f"BEGIN SELECT RAISE(ABORT, {refusal}); END"
        return tuple(f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} {refuse}" for verb in ("UPDATE", "DELETE"))
    function = f"RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION {refusal}; END $$"
    trigger = f"{table}_frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {table}_frozen()"
    return f"CREATE OR REPLACE FUNCTION {table}_frozen() {function}", f"CREATE TRIGGER {trigger}"


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other `writing` runs beside: what it reads still holds when it commits.

    SQLite takes its one write lock at the start, not at the first write: a read before it could be stale by then.
    """
    if engine.dialect.name != "sqlite":
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:writers)"), {"writers": WRITERS})
            yield connection
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Several reads of one instant: what is committed meanwhile is not seen by any of them."""
    if engine.dialect.name != "sqlite":
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            yield connection
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("BEGIN")
        try:
            yield connection
        finally:
            connection.exec_driver_sql("ROLLBACK")


def _durable(connection: Any, record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
