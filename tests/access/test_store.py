"""Token records in a real database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlray.access.permit import Caller
from mlray.access.spec import Role
from mlray.access.store import TokenStore
from mlray.access.token import Unknown, check
from mlray.errors import AccessError, StoreError
from mlray.home import Home
from mlray.units import Duration

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_an_issued_token_is_known_to_every_other_reader(home: Home):
    text, record = TokenStore(home.database).issue(Role.OPERATOR, "ada", Duration(60), NOON)
    read = TokenStore(home.database).records()
    assert read == {record.id: record}
    assert check(text, read, NOON) == Caller(record.id, "ada", Role.OPERATOR)


def test_a_revoked_token_is_unknown_to_every_other_reader(home: Home):
    text, record = TokenStore(home.database).issue(Role.VIEWER, "ada", Duration(60), NOON)
    TokenStore(home.database).revoke(record.id, NOON + timedelta(seconds=1))
    assert isinstance(check(text, TokenStore(home.database).records(), NOON + timedelta(seconds=1)), Unknown)


def test_the_secret_is_nowhere_in_the_home(home: Home):
    text, _ = TokenStore(home.database).issue(Role.VIEWER, "ada", Duration(60), NOON)
    secret = text.rpartition("_")[2].encode()
    files = [path for path in home.root.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if secret in path.read_bytes()]


def test_revoking_what_is_not_there_says_so(home: Home):
    with pytest.raises(AccessError, match="no token has the id 0123"):
        TokenStore(home.database).revoke("0123", NOON)


def test_a_broken_database_is_a_store_error(tmp_path: Path):
    broken = tmp_path / "private" / "mlray.db"
    broken.parent.mkdir(mode=0o700)
    broken.write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="cannot be reached"):
        TokenStore(f"sqlite:///{broken}")
