"""Token records in the database; the tokens themselves are nowhere."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, DateTime, Row, String, Table, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateTable

from mlray.access import token
from mlray.access.spec import Role
from mlray.access.token import RANDOM_BYTES, TokenRecord
from mlray.database import CATALOGUE, connect
from mlray.errors import AccessError, StoreError
from mlray.units import Duration

TOKENS = Table(
    "tokens",
    CATALOGUE,
    Column("id", String(32), primary_key=True),
    Column("hash", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("owner", String(200), nullable=False),
    Column("created", DateTime, nullable=False),
    Column("expires", DateTime, nullable=False),
    Column("revoked", DateTime),
)


class TokenStore:
    """The records of all tokens. Every failure of the database is a StoreError."""

    def __init__(self, url: str) -> None:
        self._engine = connect(url)
        with _reaching(), self._engine.begin() as connection:
            connection.execute(CreateTable(TOKENS, if_not_exists=True))

    def issue(self, role: Role, owner: str, ttl: Duration, now: datetime) -> tuple[str, TokenRecord]:
        """A new token. The text is in the returned value alone: show it once, or lose it."""
        text, record = token.make(secrets.token_bytes(RANDOM_BYTES), now, ttl, role, owner)
        columns = {"id": record.id, "hash": record.hash, "role": str(role), "owner": owner}
        times = {"created": _plain(record.created), "expires": _plain(record.expires)}
        with _reaching(), self._engine.begin() as connection:
            connection.execute(TOKENS.insert().values(**columns, **times))
        return text, record

    def records(self) -> dict[str, TokenRecord]:
        """All records by id, oldest first."""
        with _reaching(), self._engine.connect() as connection:
            return {row.id: _record(row) for row in connection.execute(select(TOKENS).order_by(TOKENS.c.created))}

    def revoke(self, name: str, now: datetime) -> TokenRecord:
        """Ends a token by its id. Raises AccessError when there is none of that id."""
        record = self.records().get(name)
        if record is None:
            raise AccessError(f"no token has the id {name}", hint="mlray token list shows the ids")
        ended = token.revoke(record, now)
        with _reaching(), self._engine.begin() as connection:
            connection.execute(TOKENS.update().where(TOKENS.c.id == name).values(revoked=_plain(ended.revoked or now)))
        return ended


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreError(f"the token records cannot be reached: {error.__class__.__name__}", hint="check MLRAY_DATABASE") from error


def _record(row: Row[Any]) -> TokenRecord:
    revoked = _aware(row.revoked) if row.revoked else None
    return TokenRecord(row.id, row.hash, Role(row.role), row.owner, _aware(row.created), _aware(row.expires), revoked)


def _plain(at: datetime) -> datetime:
    """UTC without its zone: the one form that SQLite and PostgreSQL give back alike."""
    return at.astimezone(UTC).replace(tzinfo=None)


def _aware(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)
