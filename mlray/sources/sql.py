"""SQL databases: PostgreSQL by COPY under one snapshot, others through SQLAlchemy. An edge, as both are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pyarrow as pa

from mlray.errors import SpecError
from mlray.sources import anysql, postgres
from mlray.sources.databases import SqlSource
from mlray.sources.piece import Found, Piece
from mlray.sources.places import Secrets, none

POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")


def find(name: str, source: SqlSource, base: Path, rows_per_piece: int, secrets: Secrets = none) -> Found:
    """Cut by ranges of the key into pieces of about as many rows. Raises SpecError: unreachable, no such table or columns."""
    url = address(source, secrets)
    return _driver(url).find(name, source, url, rows_per_piece)  # type: ignore[no-any-return]


def read(found: Found, source: SqlSource, pieces: Sequence[Piece], secrets: Secrets = none) -> Iterator[tuple[Piece, pa.Table]]:
    url = address(source, secrets)
    yield from _driver(url).read(found, source, url, pieces)


def unchanged(found: Found, source: SqlSource, secrets: Secrets = none) -> None:
    url = address(source, secrets)
    _driver(url).unchanged(found, source, url)


def release(found: Found) -> None:
    """Lets go of the snapshot that all pieces were read under."""
    postgres.release(found)


def address(source: SqlSource, secrets: Secrets) -> str:
    """The URL with its password. It is told to nobody."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    connection = source.connection
    text = secrets(connection.secret) if connection.secret else connection.url or ""
    try:
        url = make_url(text)
    except ArgumentError:
        raise SpecError("connection: not the URL of a database", hint="write it like postgresql://reader@db.example/shop") from None
    if connection.password:
        url = url.set(password=secrets(connection.password.secret))
    return url.render_as_string(hide_password=False)


def _driver(url: str) -> ModuleType:
    return postgres if url.split("://")[0] in POSTGRES else anysql
