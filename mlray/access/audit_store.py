"""AuditStore: the audit record in the home's database. Entries are added, one after the other, and never changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import BigInteger, Column, Connection, String, Table, Text, insert, select
from sqlalchemy.exc import SQLAlchemyError

from mlray.access import audit
from mlray.access.audit import START, Deed, Entry, Head
from mlray.database import CATALOGUE, connect, frozen, tables, writing
from mlray.errors import StoreError

ENTRIES = Table(
    "audit_entries",
    CATALOGUE,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("body", Text, nullable=False),
)

# It slows an honest mistake; the chain finds the rest.
frozen(ENTRIES, "audit entries")


class AuditStore:
    """The record at a SQLAlchemy URL. An entry is on disk when `append` returns, or there is none."""

    def __init__(self, url: str) -> None:
        with _translated():
            self._engine = tables(connect(url))

    def append(self, deed: Deed, at: datetime) -> Entry:
        return self.after(lambda: deed, at)

    def after(self, doing: Callable[[], Deed], at: datetime) -> Entry:
        """Does it and writes it down, while nobody else writes: two that change one thing come one after the other.

        What fails is not written down. What was done and not written down (a kill between the two) must be safe to do again.
        """
        with _translated(), writing(self._engine) as connection:
            entry = audit.follow(_head(connection), doing(), at)
            connection.execute(insert(ENTRIES).values(number=entry.number, digest=entry.digest, body=entry.body))
            return entry

    def entries(self) -> tuple[Entry, ...]:
        """All of them, oldest first."""
        with _translated(), self._engine.connect() as connection:
            return tuple(Entry(int(n), digest, body) for n, digest, body in connection.execute(select(ENTRIES).order_by(ENTRIES.c.number)))

    def head(self) -> Head:
        with _translated(), self._engine.connect() as connection:
            return _head(connection)

    def verify(self, known: Head = START) -> Head:
        """Raises TamperError naming the first entry that was changed, dropped or slipped in; `known` was handed out earlier."""
        return audit.verify(self.entries(), known)


def _head(connection: Connection) -> Head:
    row = connection.execute(select(ENTRIES.c.number, ENTRIES.c.digest).order_by(ENTRIES.c.number.desc()).limit(1)).first()
    return Head(int(row.number), row.digest) if row else START


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise StoreError(f"the audit record cannot be read or written: {cause}", hint="check MLRAY_DATABASE") from error
