"""PostgreSQL: ranges of the key, each read by one COPY; all of them see one snapshot, which the process that found them holds.

An edge. One query cuts, counts and names all pieces: a piece is named by its number of rows and the sum of the hashes of its
rows, so a table to which rows are only added keeps the names, and the sealed parts, of all pieces but its last.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from pyarrow import csv

from mlray.errors import MlrayError, SpecError, WorkError
from mlray.sources import typed
from mlray.sources.base import OnBad
from mlray.sources.databases import SqlSource
from mlray.sources.piece import Found, Piece
from mlray.sources.shape import Taken, shape
from mlray.sources.typed import ARROW

KINDS = {
    **dict.fromkeys(("int2", "int4", "int8", "oid"), "int"),
    **dict.fromkeys(("float4", "float8", "numeric"), "float"),
    **dict.fromkeys(("text", "varchar", "bpchar", "uuid", "json", "jsonb", "name", "citext"), "text"),
    **dict.fromkeys(("timestamptz", "timestamp", "date"), "timestamp"),
    "bool": "bool",
}
KEYS = ("int", "float", "text", "timestamp")
# What a row looks like as text must not depend on whose session asks: its hash names it.
SESSION = (
    "-c timezone=UTC -c datestyle=ISO -c extra_float_digits=1 -c intervalstyle=postgres -c bytea_output=hex"
    " -c idle_in_transaction_session_timeout=0"  # whoever holds the snapshot waits in a transaction
)
_held: dict[str, Any] = {}


def find(name: str, source: SqlSource, url: str, rows_per_piece: int) -> Found:
    where = f"source {name}: {source.table or 'query'}"
    connection = connect(url, where)
    try:
        with telling(where), connection.cursor() as cursor:
            columns = _columns(cursor, source, where)
            taken = shape(source, {there: KINDS.get(kind, "other") for there, kind in columns.items()}, where)
            _keyed(source, columns, where)
            bounds = _bounds(cursor, source, columns, rows_per_piece)
            names = sorted({column.there for column in taken if column.there in columns})
            counted = _counted(cursor, source, columns, bounds, names)
            snapshot = _exported(connection)
    except BaseException:
        connection.close()
        raise
    pieces = _pieces(counted, names)
    rows, total = sum(count for _, count, _ in counted), sum(total for _, _, total in counted)
    kinds = tuple((there, KINDS.get(kind, "other")) for there, kind in columns.items())
    facts = [("bounds", json.dumps(bounds)), ("types", json.dumps(columns))]
    if snapshot:
        _held[snapshot] = connection
        facts.append(("snapshot", snapshot))
    else:
        connection.close()
    return Found(name, where, (source.table or "query",), _digest([rows, total, names]), kinds, pieces, rows, None, tuple(facts))


def read(found: Found, source: SqlSource, url: str, pieces: Sequence[Piece]) -> Iterator[tuple[Piece, pa.Table]]:
    """Raises WorkError when the snapshot is gone: its holder ended, and rows of two moments must not be mixed."""
    taken = shape(source, dict(found.columns), found.where)
    with connect(url, found.where) as connection, telling(found.where):
        if snapshot := found.fact("snapshot"):
            _join(connection, snapshot, found.where)
        for piece in pieces:
            yield piece, parse(_copied(connection, found, source, taken, piece), taken, source, found, piece)


def unchanged(found: Found, source: SqlSource, url: str) -> None:
    """Under a snapshot nothing can have changed. Without one the rows are hashed again, and a difference is a WorkError."""
    if found.fact("snapshot"):
        release(found)
        return
    columns, bounds = json.loads(found.fact("types")), json.loads(found.fact("bounds"))
    names = sorted({column.there for column in shape(source, dict(found.columns), found.where) if column.there in columns})
    with connect(url, found.where) as connection, telling(found.where), connection.cursor() as cursor:
        counted = _counted(cursor, source, columns, bounds, names)
    if _digest([sum(c for _, c, _ in counted), sum(t for _, _, t in counted), names]) != found.digest:
        raise WorkError(f"{found.where} changed while it was read", hint="run the ingest again when nobody writes to it")


def release(found: Found) -> None:
    if connection := _held.pop(found.fact("snapshot"), None):
        connection.close()


def connect(url: str, where: str) -> Any:
    """A connection in a read-only transaction that sees one moment throughout."""
    try:
        import psycopg
    except ImportError as missing:
        raise SpecError(f"{where}: PostgreSQL needs a driver", hint="pip install 'mlray[postgres]'") from missing
    plain = re.sub(r"^[a-z+]+://", "postgresql://", url)
    with telling(where):
        connection = psycopg.connect(plain, connect_timeout=15, options=SESSION, application_name="mlray")
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    return connection


@contextmanager
def telling(where: str) -> Iterator[None]:
    """The database's errors in one sentence. What it says of a value is left out: only mistakes in names and rights are quoted."""
    import psycopg

    try:
        yield
    except MlrayError:
        raise
    except psycopg.Error as error:
        code = error.sqlstate or ""
        said = error.diag.message_primary or str(error).strip().splitlines()[0]
        if code[:2] in ("42", "3D", "3F", "28") or (isinstance(error, psycopg.OperationalError) and not code):
            raise SpecError(f"{where}: {said}", hint="see the connection, table or query, and columns of the source") from None
        raise WorkError(f"{where}: the database refused with {type(error).__name__} ({code or 'no code'})", hint="see its log") from None


def parse(text: bytes, taken: tuple[Taken, ...], source: SqlSource, found: Found, piece: Piece) -> pa.Table:
    """A piece as COPY wrote it: a missing value is nothing at all, an empty text a pair of quotes."""
    here = [column for column in taken if column.there in dict(found.columns)]
    names = [column.there for column in here]
    if not text:  # rows that went before they were read, where no snapshot keeps them: told in the end
        return typed.numbered(pa.table({column.here: pa.nulls(0, ARROW[column.kind]) for column in taken}), piece.first)
    try:
        table = csv.read_csv(
            io.BytesIO(text),
            read_options=csv.ReadOptions(column_names=[*names, ""], use_threads=False, block_size=len(text) + 1),
            parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(
                column_types={column.there: _read_as(column) for column in here},
                include_columns=names,
                null_values=sorted({"", *source.nulls}),
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        return typed.numbered(typed.finish(table, taken), piece.first)
    except pa.ArrowInvalid as bad:
        # Arrow's message quotes the value, so it is neither repeated nor chained.
        row, number = re.search(r"Row #(\d+)", str(bad)), re.search(r"column #(\d+)", str(bad))
        column = here[int(number[1])] if number and int(number[1]) < len(here) else None
        place = f"{found.where}: row {piece.first + int(row[1]) - 1 if row else f'{piece.first} or a later one'} by {source.key}"
        said = f"column {column.there}: not {typed.named(column.kind)}" if column else "a value is not of its column's type"
        raise WorkError(f"{place}: {said}", hint="correct the row, or its type or on_bad in the job") from None


def _read_as(column: Taken) -> pa.DataType:
    return ARROW[column.kind] if column.on_bad is OnBad.REFUSE else pa.string()


def _copied(connection: Any, found: Found, source: SqlSource, taken: tuple[Taken, ...], piece: Piece) -> bytes:
    from psycopg import sql

    types = json.loads(found.fact("types"))
    # Rows of one key are ordered by the rest, and a last column that is always empty keeps a lone missing value from being no line.
    shown = [_shown(column.there, types[column.there]) for column in taken if column.there in types]
    order = sql.SQL(", ").join([sql.Identifier(source.key), *(sql.SQL(str(n + 1)) for n in range(len(shown)))])
    query = sql.SQL("COPY (SELECT {}, NULL FROM {} WHERE {} ORDER BY {}) TO STDOUT (FORMAT csv)").format(
        sql.SQL(", ").join(shown), _from(source), _between(source, found, piece, types), order
    )
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        return b"".join(copy)


def _shown(there: str, kind: str) -> Any:
    from psycopg import sql

    name = sql.Identifier(there)
    if kind in ("timestamp", "date"):
        return sql.SQL("({}::timestamp AT TIME ZONE 'UTC')").format(name)
    return name if kind in ("timestamptz",) or KINDS.get(kind) in ("int", "float") else sql.SQL("{}::text").format(name)


def _between(source: SqlSource, found: Found, piece: Piece, types: dict[str, str]) -> Any:
    """Rows without a key are read with the first piece."""
    from psycopg import sql

    bounds, key, kind = json.loads(found.fact("bounds")), sql.Identifier(source.key), sql.SQL(types[source.key])
    low = sql.SQL("{} >= {}::{}").format(key, sql.Literal(bounds[piece.start - 1]), kind) if piece.start else None
    high = sql.SQL("{} < {}::{}").format(key, sql.Literal(bounds[piece.stop - 1]), kind) if piece.stop <= len(bounds) else None
    inside = sql.SQL(" AND ").join([side for side in (low, high) if side]) if low or high else sql.SQL("TRUE")
    return inside if piece.start else sql.SQL("(({}) OR {} IS NULL)").format(inside, key)


def _from(source: SqlSource) -> Any:
    from psycopg import sql

    if source.table:
        return sql.Identifier(*source.table.split("."))
    return sql.SQL("({}) AS rows").format(sql.SQL((source.query or "").strip().rstrip(";")))


def _columns(cursor: Any, source: SqlSource, where: str) -> dict[str, str]:
    """Name -> PostgreSQL's name of its type."""
    from psycopg import sql

    cursor.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(_from(source)))
    found = [(column.name, column.type_code) for column in cursor.description]
    cursor.execute("SELECT oid, typname FROM pg_type WHERE oid = ANY(%s)", ([code for _, code in found],))
    names = dict(cursor.fetchall())
    if twice := sorted({name for name, _ in found if [n for n, _ in found].count(name) > 1}):
        raise SpecError(f"{where}: the column {', '.join(twice)} is named twice", hint="give it another name with AS")
    return {name: names[code] for name, code in found}


def _keyed(source: SqlSource, columns: dict[str, str], where: str) -> None:
    kind = KINDS.get(columns.get(source.key, ""), "other")
    if source.key not in columns or kind not in KEYS or columns[source.key] in ("json", "jsonb"):
        said = f"is {columns[source.key]}" if source.key in columns else "is not there"
        raise SpecError(f"{where}: key {source.key} {said}", hint=f"a key is a number, time or text; columns are {', '.join(columns)}")


def _bounds(cursor: Any, source: SqlSource, columns: dict[str, str], rows_per_piece: int) -> list[str]:
    """Every so many rows in the order of the key, where the next piece begins. An index on the key spares the sorting."""
    from psycopg import sql

    key = sql.Identifier(source.key)
    query = sql.SQL(
        "SELECT DISTINCT k AS bound, k::text AS shown"
        " FROM (SELECT {key} AS k, row_number() OVER (ORDER BY {key}) AS n FROM {rows} WHERE {key} IS NOT NULL) AS t"
        " WHERE n > 1 AND n %% %s = %s ORDER BY bound"
    ).format(key=key, rows=_from(source))
    cursor.execute(query, (rows_per_piece, 1 if rows_per_piece > 1 else 0))
    return [text for _, text in cursor.fetchall()]


def _counted(cursor: Any, source: SqlSource, columns: dict[str, str], bounds: list[str], names: list[str]) -> list[tuple[int, int, int]]:
    """(place between the bounds, rows, sum of their hashes), in order."""
    from psycopg import sql

    kind = sql.SQL(columns[source.key])
    bucket = sql.SQL("coalesce(width_bucket({}, %s::text[]::{}[]), 0)").format(sql.Identifier(source.key), kind) if bounds else sql.SQL("0")
    row = sql.SQL("ROW({})::text").format(sql.SQL(", ").join(map(sql.Identifier, names)))
    query = sql.SQL("SELECT {} AS place, count(*), sum(hashtextextended({}, 0)::numeric) FROM {} GROUP BY 1 ORDER BY 1").format(
        bucket, row, _from(source)
    )
    cursor.execute(query, (bounds,) if bounds else None)
    return [(place, count, int(total)) for place, count, total in cursor.fetchall()]


def _pieces(counted: list[tuple[int, int, int]], names: list[str]) -> tuple[Piece, ...]:
    found, first = [], 1
    for number, (place, count, total) in enumerate(counted):
        found.append(Piece(number, 0, place, place + 1, _digest([count, total, names]), first))
        first += count
    return tuple(found)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _exported(connection: Any) -> str:
    """The name under which other sessions see what this one sees; "" where the server exports none, as some standbys do."""
    import psycopg

    try:
        return str(connection.execute("SELECT pg_export_snapshot()").fetchone()[0])
    except psycopg.Error:
        return ""


def _join(connection: Any, snapshot: str, where: str) -> None:
    import psycopg
    from psycopg import sql

    try:
        connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
    except psycopg.Error:
        raise WorkError(
            f"{where}: the snapshot all pieces are read under is gone, as the process that held it ended",
            hint="run the ingest again: pieces that are finished are not read again while the table is the same",
        ) from None
