"""Tables of a real PostgreSQL, and of SQLite for every other database: the rows there are the rows read, at one moment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from mlray.errors import SpecError, WorkError
from mlray.sources import postgres, sql
from mlray.sources.databases import SqlSource
from mlray.sources.piece import Found

POSTGRES = os.environ.get("MLRAY_TEST_POSTGRES", "")
HERE = Path(__file__).parent
ROWS = 5_000
FOUND: list[Found] = []
COLUMNS = {"id": "int", "x": "float", "s": "text", "at": "timestamp", "b": "bool"}
MADE = """
create table orders as select i::bigint as id, i * 0.5::float8 as x,
  case when i % 10 = 0 then '' when i % 7 = 0 then null else E'na"m\\ne,' || i end as s,
  timestamp '2013-01-01' + i * interval '1 second' as at, i % 2 = 0 as b, 'v' || (i % 100) as code
from generate_series(1, 5000) i
"""


@pytest.fixture
def shop() -> Iterator[psycopg.Connection[Any]]:
    if not POSTGRES:
        pytest.skip("MLRAY_TEST_POSTGRES names no database; .ci/services starts one")
    with psycopg.connect(POSTGRES.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(MADE)
        yield connection
        while FOUND:  # a snapshot that is held keeps its tables from being dropped
            sql.release(FOUND.pop())
        connection.execute("drop table orders cascade")


def source(**change: Any) -> SqlSource:
    given = {"format": "sql", "connection": {"secret": "shop"}, "table": "orders", "key": "id", "columns": COLUMNS}
    return SqlSource.model_validate({name: value for name, value in (given | change).items() if value is not None})


def secrets(name: str) -> str:
    return {"shop": POSTGRES, "word": sa.make_url(POSTGRES).password or ""}[name]


def find(of: SqlSource, rows: int = 1024) -> Found:
    FOUND.append(sql.find("orders", of, HERE, rows, secrets))
    return FOUND[-1]


def rows(found: Found, of: SqlSource) -> pa.Table:
    table = pa.concat_tables([table for _, table in sql.read(found, of, found.pieces, secrets)])
    sql.unchanged(found, of, secrets)
    return table


@pytest.mark.services
def test_every_row_comes_once_with_its_values(shop: Any):
    found = find(source())
    table = rows(found, source())
    assert (found.rows, len(found.pieces), table.num_rows) == (ROWS, 5, ROWS)
    assert table["id"].to_pylist() == table["_line"].to_pylist() == list(range(1, ROWS + 1))
    first = table.slice(0, 10).to_pylist()
    assert first[0]["s"] == 'na"m\ne,1' and first[6]["s"] is None and first[9]["s"] == ""
    assert first[1] | {"s": ""} == {"id": 2, "x": 1.0, "s": "", "at": datetime(2013, 1, 1, 0, 0, 2, tzinfo=UTC), "b": True, "_line": 2}


@pytest.mark.services
@pytest.mark.parametrize("key", ["id", "x", "s", "at", "code"])
def test_any_key_cuts_the_table_into_pieces_that_leave_nothing_out(shop: Any, key: str):
    of = source(key=key)
    found = find(of)
    assert sorted(rows(found, of)["id"].to_pylist()) == list(range(1, ROWS + 1))
    assert found.digest == find(source()).digest, "the same rows are the same version, however they are cut"


@pytest.mark.services
def test_pieces_are_about_as_large_as_asked(shop: Any):
    found = find(source(), 1000)
    sizes = [table.num_rows for _, table in sql.read(found, source(), found.pieces, secrets)]
    assert sizes == [1000] * 5
    sql.unchanged(found, source(), secrets)


@pytest.mark.services
def test_all_pieces_see_one_moment(shop: Any):
    found = find(source())
    pieces = sql.read(found, source(), found.pieces, secrets)
    _, first = next(pieces)
    shop.execute("delete from orders where id > 100")
    assert first.num_rows + sum(table.num_rows for _, table in pieces) == ROWS
    assert next(sql.read(found, source(), found.pieces[-1:], secrets))[1].num_rows == ROWS - 4096
    sql.unchanged(found, source(), secrets)


@pytest.mark.services
def test_pieces_are_not_read_of_another_moment_once_the_snapshot_is_gone(shop: Any):
    found = find(source())
    sql.release(found)
    with pytest.raises(WorkError, match="the snapshot all pieces are read under is gone"):
        next(sql.read(found, source(), found.pieces, secrets))


@pytest.mark.services
def test_where_no_snapshot_can_be_shared_a_change_is_noticed(shop: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(postgres, "_exported", lambda _: "")
    found = find(source())
    assert rows(found, source()).num_rows == ROWS
    shop.execute("update orders set s = 'other' where id = 4999")
    with pytest.raises(WorkError, match="changed while it was read"):
        sql.unchanged(found, source(), secrets)


@pytest.mark.services
def test_the_digest_is_of_the_rows_and_pieces_that_stay_keep_their_names(shop: Any):
    before = find(source())
    shop.execute("create table copy as select * from orders order by random()")
    copied = find(source(table="copy"))
    assert copied.digest == before.digest
    sql.release(FOUND.pop())
    shop.execute("drop table copy")
    shop.execute("insert into orders select 5001, 1, 'new', now(), true, 'v'")
    after = find(source())
    assert after.digest != before.digest
    assert [p.digest for p in after.pieces[:4]] == [p.digest for p in before.pieces[:4]] and after.pieces[4].digest != before.pieces[
        4
    ].digest
    shop.execute("update orders set s = null where id = 2000")
    assert [a.digest == b.digest for a, b in zip(after.pieces, find(source()).pieces, strict=True)] == [True, False, True, True, True]


@pytest.mark.services
def test_rows_without_a_key_are_not_lost(shop: Any):
    shop.execute("update orders set id = null where id between 10 and 19")
    assert rows(find(source()), source())["id"].null_count == 10


@pytest.mark.services
def test_an_empty_table_has_no_pieces(shop: Any):
    shop.execute("truncate orders")
    assert (find(source()).pieces, find(source()).rows) == ((), 0)


@pytest.mark.services
def test_a_query_is_read_as_a_table_is(shop: Any):
    of = source(table=None, query="select id, count(*) over () as n from orders where b;", columns={"id": "int", "n": "int"})
    assert set(rows(find(of), of)["n"].to_pylist()) == {2500}


@pytest.mark.services
def test_the_password_may_stand_alone_in_a_secret(shop: Any):
    url = sa.make_url(POSTGRES)
    of = source(connection={"url": str(url._replace(password=None)), "password": {"secret": "word"}})
    assert rows(find(of), of).num_rows == ROWS


@pytest.mark.services
@pytest.mark.parametrize(
    "change, said",
    [
        ({"table": "oders"}, 'relation "oders" does not exist'),
        ({"columns": {"no": "int"}}, "no column no"),
        ({"key": "no"}, "key no is not there"),
        ({"key": "b"}, "key b is bool"),
        ({"columns": {"x": "int"}}, "declared int, found float"),
        ({"table": None, "query": "select 1 as id; drop table orders"}, "syntax error"),
        ({"connection": {"url": "postgresql://mlray@127.0.0.1:1/none"}}, "refused"),
    ],
)
def test_what_cannot_be_read_is_told_before_any_row_is(shop: Any, change: dict[str, Any], said: str):
    with pytest.raises(SpecError, match=said) as told:
        find(source(**change))
    assert secrets("word") not in str(told.value)


@pytest.mark.services
def test_a_query_that_writes_is_refused(shop: Any):
    shop.execute("create function spill() returns int language sql as 'delete from orders returning 1'")
    with pytest.raises(WorkError, match="ReadOnlySqlTransaction"):
        find(source(table=None, query="select spill() as id", columns={"id": "int"}))
    shop.execute("drop function spill")
    assert find(source()).rows == ROWS


@pytest.mark.services
def test_a_value_of_another_type_is_told_by_its_place_and_never_by_itself(shop: Any):
    shop.execute("update orders set code = 'very-secret' where id = 3000; update orders set code = id where id <> 3000")
    of = source(columns={"code": "int"})
    with pytest.raises(WorkError, match="row 3000 by id: column code: not a whole number") as told:
        rows(find(of), of)
    assert "very-secret" not in str(told.value)
    tolerant = source(columns={"code": {"type": "int", "on_bad": "reject"}})
    assert rows(find(tolerant), tolerant).slice(2999, 1).to_pylist() == [
        {"code": None, "_unreadable": "code is not a whole number", "_line": 3000}
    ]


@pytest.mark.parametrize(
    "change, why",
    [
        ({"connection": {"url": "postgresql://me:word@db/shop"}}, "does not belong in a file"),
        ({"query": "select 1"}, "either table or query"),
        ({"table": None}, "either table or query"),
        ({"table": "orders; drop table orders"}, "table"),
    ],
)
def test_a_source_that_cannot_be_is_refused(change: dict[str, Any], why: str):
    with pytest.raises(ValidationError, match=why):
        source(**change)


@pytest.fixture
def lite(tmp_path: Path) -> tuple[SqlSource, sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/shop.db")
    with engine.begin() as connection:
        connection.execute(sa.text("create table orders (id integer, x real, s text)"))
        values = [{"id": i, "x": i / 2, "s": None if i % 7 == 0 else f"n{i}"} for i in range(1, 2501)]
        connection.execute(sa.text("insert into orders values (:id, :x, :s)"), values)
    return source(connection={"url": str(engine.url)}, columns={"id": "int", "x": "float", "s": "text"}), engine


def test_other_databases_are_read_by_ranges_too(lite: tuple[SqlSource, sa.Engine]):
    of, _ = lite
    table = rows(found := find(of), of)
    assert (found.rows, len(found.pieces)) == (2500, 3)
    assert table["id"].to_pylist() == table["_line"].to_pylist() == list(range(1, 2501))
    assert table["s"].null_count == 2500 // 7
    assert find(of) == found


def test_in_other_databases_a_change_between_finding_and_reading_is_refused(lite: tuple[SqlSource, sa.Engine]):
    of, engine = lite
    found = find(of)
    with engine.begin() as connection:
        connection.execute(sa.text("insert into orders values (99999, 1.0, 'new')"))
    with pytest.raises(WorkError, match="changed while it was read"):
        rows(found, of)


def test_a_database_nobody_has_a_driver_for_is_told(lite: tuple[SqlSource, sa.Engine]):
    with pytest.raises(SpecError, match="no driver for elsewhere"):
        find(source(connection={"url": "elsewhere://db/shop"}))
