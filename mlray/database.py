"""One SQLAlchemy engine for every store: SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, MetaData, create_engine, event, make_url

from mlray.home import private_folder

# Every store declares its tables on this one catalogue and calls `tables(engine)` before its first statement.
CATALOGUE = MetaData()


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


def _durable(connection: Any, record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
