"""One address of a database for each kind: the ledger's contract is one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from mlray.database import connect

POSTGRES = os.environ.get("MLRAY_TEST_POSTGRES")
NO_POSTGRES = pytest.mark.skipif(not POSTGRES, reason="MLRAY_TEST_POSTGRES holds no URL")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.services, NO_POSTGRES])])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/ledger.db"
        return
    assert POSTGRES
    schema = f"mlray_{os.getpid()}_{time.time_ns()}"
    with connect(POSTGRES).begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    yield f"{POSTGRES}{'&' if '?' in POSTGRES else '?'}options=-csearch_path={schema}"
    with connect(POSTGRES).begin() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
