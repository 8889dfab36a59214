"""The engine every store shares, against SQLite and, where .ci/services started one, PostgreSQL."""

import os
import stat
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, func, insert, select, text

from mlray.database import connect, tables, writing
from mlray.home import Home

POSTGRES = os.environ.get("MLRAY_TEST_POSTGRES", "")
NOTES = Table("test_notes", MetaData(), Column("name", String(60), primary_key=True), Column("count", Integer))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def engine(request: pytest.FixtureRequest, home: Home) -> Iterator[Engine]:
    if request.param == "postgresql" and not POSTGRES:
        pytest.skip("MLRAY_TEST_POSTGRES names no database; .ci/services starts one")
    engine = connect(POSTGRES if request.param == "postgresql" else home.database)
    NOTES.create(engine)
    yield engine
    NOTES.drop(engine)


def read(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(select(func.coalesce(func.sum(NOTES.c.count), 0))).scalar_one())


def test_one_engine_is_made_for_a_url(home: Home):
    assert connect(home.database) is connect(home.database)


def test_sqlite_lies_in_a_private_folder_and_flushes_every_commit(home: Home):
    with connect(home.database).connect() as connection:
        said = [connection.execute(text(f"PRAGMA {name}")).scalar_one() for name in ("journal_mode", "synchronous", "foreign_keys")]
    assert said == ["wal", 2, 1]
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700


def test_tables_may_be_made_again(engine: Engine):
    assert tables(tables(engine)) is engine


def test_a_transaction_that_fails_leaves_nothing(engine: Engine):
    with pytest.raises(ZeroDivisionError), writing(engine) as connection:
        connection.execute(insert(NOTES).values(name="a", count=1))
        raise ZeroDivisionError
    assert read(engine) == 0


def test_what_a_writer_read_still_holds_when_it_commits(engine: Engine):
    def add_one_up_to_five() -> None:
        for _ in range(5):
            with writing(engine) as connection:
                if connection.execute(select(func.count()).select_from(NOTES)).scalar_one() < 5:
                    connection.execute(insert(NOTES).values(name=uuid.uuid4().hex, count=1))

    threads = [threading.Thread(target=add_one_up_to_five) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(engine) == 5


def test_a_commit_outlives_its_process_being_killed(home: Home):
    NOTES.create(connect(home.database))
    code = f"""
import os, signal
from tests.test_database import NOTES, connect, insert, writing
with writing(connect({home.database!r})) as connection:
    connection.execute(insert(NOTES).values(name="kept", count=1))
with writing(connect({home.database!r})) as connection:
    connection.execute(insert(NOTES).values(name="lost", count=1))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    root = Path(__file__).parents[1]
    killed = subprocess.run([sys.executable, "-c", code], cwd=root, env=os.environ | {"PYTHONPATH": str(root)})
    assert killed.returncode == -9
    assert read(connect(home.database)) == 1
