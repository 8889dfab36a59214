import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlray.access.store import TokenStore
from mlray.access.token import check
from mlray.cli import main
from mlray.home import Home

Captured = pytest.CaptureFixture[str]


def test_a_token_is_shown_once_listed_without_its_secret_and_revoked(home: Home, capsys: Captured):
    assert main(["token", "create", "ann", "--role", "operator", "--ttl", "1h", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert "owner='ann'" in repr(check(made["token"], TokenStore(home.database).records(), datetime.now(UTC)))

    assert main(["token", "list"]) == 0
    listed = capsys.readouterr().out
    assert made["id"] in listed and made["token"] not in listed

    assert main(["token", "revoke", made["id"]]) == 0
    assert "was revoked" in repr(check(made["token"], TokenStore(home.database).records(), datetime.now(UTC)))


def test_a_token_file_is_private_and_never_overwritten(tmp_path: Path, capsys: Captured):
    out = tmp_path / "token"
    assert main(["token", "create", "ann", "--out", str(out)]) == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert out.read_text().startswith("mlr_") and out.read_text() not in capsys.readouterr().out
    assert main(["token", "create", "ann", "--out", str(out)]) == 2
    assert main(["token", "list", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["tokens"]) == 1


def test_an_unknown_id_is_an_error_with_a_hint(capsys: Captured):
    assert main(["token", "revoke", "000000000000"]) == 1
    assert "mlray token list" in capsys.readouterr().err
