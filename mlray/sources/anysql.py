"""Any database SQLAlchemy has a dialect for: ranges of the key, each read by one SELECT and named by the rows it gave. An edge.

There is no snapshot that sessions share and no hash the server makes, so the rows are read once to name the pieces and once
more to seal them; a piece that came out otherwise the second time is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from mlray.errors import SpecError, WorkError
from mlray.sources import typed
from mlray.sources.databases import SqlSource
from mlray.sources.piece import Found, Piece
from mlray.sources.shape import shape
from mlray.sources.typed import kind_of

PLAIN = (int, float, str)  # bounds that JSON carries as they are


def find(name: str, source: SqlSource, url: str, rows_per_piece: int) -> Found:
    where = f"source {name}: {source.table or 'query'}"
    with _connected(url, where) as connection:
        bounds = _bounds(connection, source, rows_per_piece, where)
        pieces, columns, first = list[Piece](), dict[str, str](), 1
        for place in range(len(bounds) + 1):
            table = _fetched(connection, source, bounds, place)
            columns |= {
                field.name: kind_of(field.type) for field in table.schema if not pa.types.is_null(field.type) or field.name not in columns
            }
            if table.num_rows:
                pieces.append(Piece(len(pieces), 0, place, place + 1, _name(table), first))
                first += table.num_rows
    shape(source, columns, where)
    digest = hashlib.sha256(repr([sorted(columns.items()), *(piece.digest for piece in pieces)]).encode()).hexdigest()
    facts = (("bounds", json.dumps(bounds)),)
    return Found(name, where, (source.table or "query",), digest, tuple(columns.items()), tuple(pieces), first - 1, None, facts)


def read(found: Found, source: SqlSource, url: str, pieces: Sequence[Piece]) -> Iterator[tuple[Piece, pa.Table]]:
    taken, bounds = shape(source, dict(found.columns), found.where), json.loads(found.fact("bounds"))
    with _connected(url, found.where) as connection:
        for piece in pieces:
            table = _fetched(connection, source, bounds, piece.start)
            if _name(table) != piece.digest:
                raise WorkError(f"{found.where} changed while it was read", hint="run the ingest again when nobody writes to it")
            try:
                yield piece, typed.numbered(typed.finish(table, taken), piece.first)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                place = f"{found.where}: rows {piece.first} to {piece.first + table.num_rows - 1} by {source.key}"
                raise WorkError(f"{place}: a value is not of its column's type", hint="correct it, or write on_bad") from None


def unchanged(found: Found, source: SqlSource, url: str) -> None:
    """The ranges cover every key there may be, and each was compared as it was read."""


@contextmanager
def _connected(url: str, where: str) -> Iterator[Any]:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

    try:
        engine = create_engine(url)
    except (NoSuchModuleError, ImportError) as missing:
        raise SpecError(f"{where}: no driver for {url.split('://')[0]}", hint="install the SQLAlchemy driver of this database") from missing
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        # The whole text names the parameters, which are keys of rows.
        said = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
        raise SpecError(f"{where}: {said}", hint="see the connection, table or query, and columns of the source") from None
    finally:
        engine.dispose()


def _rows(source: SqlSource) -> Any:
    """What is selected from."""
    import sqlalchemy as sa

    if source.query:
        return sa.text(f"({source.query.strip().rstrip(';')}) AS source_rows")
    schema, _, table = (source.table or "").rpartition(".")
    return sa.table(table, schema=schema or None)


def _bounds(connection: Any, source: SqlSource, rows_per_piece: int, where: str) -> list[Any]:
    import sqlalchemy as sa

    key: sa.ColumnClause[Any] = sa.column(source.key)
    number = sa.func.row_number().over(order_by=key).label("n")
    ranked = sa.select(key.label("k"), number).select_from(_rows(source)).where(key.is_not(None)).subquery()
    query = (
        sa.select(ranked.c.k).where(ranked.c.n > 1, ranked.c.n % rows_per_piece == (1 if rows_per_piece > 1 else 0)).order_by(ranked.c.k)
    )
    found = list(dict.fromkeys(value for (value,) in connection.execute(query)))
    if not all(isinstance(value, PLAIN) for value in found):
        raise SpecError(f"{where}: key {source.key} is no number and no text", hint="cut by another column, or cast it in a query")
    return found


def _fetched(connection: Any, source: SqlSource, bounds: list[Any], place: int) -> pa.Table:
    """Rows without a key come with the first range."""
    import sqlalchemy as sa

    key: sa.ColumnClause[Any] = sa.column(source.key)
    sides = [key >= bounds[place - 1]] if place else []
    sides += [key < bounds[place]] if place < len(bounds) else []
    inside = sa.and_(sa.true(), *sides) if place else sa.or_(sa.and_(sa.true(), *sides), key.is_(None))
    result = connection.execute(sa.select(sa.text("*")).select_from(_rows(source)).where(inside))
    names, rows = list(result.keys()), result.fetchall()
    columns = [pa.array(values) for values in zip(*rows, strict=True)] if rows else [pa.nulls(0)] * len(names)
    table = pa.table(dict(zip(names, columns, strict=True)))
    # A database promises no order among equal keys, nor below: the rows' own values are the order.
    return table.sort_by([(source.key, "ascending"), *((n, "ascending") for n in sorted(names) if n != source.key)]) if rows else table


def _name(table: pa.Table) -> str:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()
