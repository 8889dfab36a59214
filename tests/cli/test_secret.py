from __future__ import annotations

import io
import json
from typing import Any

import pytest

from mlray.cli import main
from mlray.home import Home
from mlray.vault.secrets import Secrets
from tests.cli import vaults

Captured = pytest.CaptureFixture[str]
VALUE = "päss word\nof two lines"


def typed(monkeypatch: pytest.MonkeyPatch, text: str | bytes) -> None:
    raw = text if isinstance(text, bytes) else text.encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8"))


@pytest.fixture
def stored(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> Secrets:
    typed(monkeypatch, VALUE + "\n")
    assert main(["secret", "set", "warehouse", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"secret": "warehouse", "replaced": False} and VALUE not in printed.out + printed.err
    return Secrets(vaults.opened(home))


def said(capsys: Captured) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_value_from_stdin_is_stored_without_its_last_line_break_and_never_printed(stored: Secrets):
    assert stored.get("warehouse") == VALUE


def test_setting_it_again_says_that_it_was_replaced(stored: Secrets, monkeypatch: pytest.MonkeyPatch, capsys: Captured):
    typed(monkeypatch, "another")
    assert main(["secret", "set", "warehouse", "--json"]) == 0
    assert said(capsys)["replaced"] and stored.get("warehouse") == "another"


def test_names_are_listed_with_where_they_come_from(stored: Secrets, monkeypatch: pytest.MonkeyPatch, capsys: Captured):
    assert main(["secret", "list", "--json"]) == 0
    assert said(capsys)["secrets"] == [{"secret": "warehouse", "from": "store"}]
    monkeypatch.setenv("MLRAY_SECRET_WAREHOUSE", "x")
    assert main(["secret", "list", "--json"]) == 0
    assert said(capsys)["secrets"] == [{"secret": "warehouse", "from": "environment"}]


def test_nothing_is_removed_where_nobody_can_be_asked_unless_it_says_yes(
    stored: Secrets, monkeypatch: pytest.MonkeyPatch, capsys: Captured
):
    typed(monkeypatch, "")
    assert main(["secret", "remove", "warehouse"]) == 2
    told = capsys.readouterr().err
    assert "removes secret warehouse" in told and "add --yes" in told
    assert stored.list() == ("warehouse",)
    assert main(["secret", "remove", "warehouse", "--yes"]) == 0
    assert stored.list() == ()


def test_an_empty_value_and_one_that_is_no_text_are_refused(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: Captured):
    typed(monkeypatch, "\n")
    assert main(["secret", "set", "warehouse"]) == 2
    assert "is empty, so nothing was stored" in capsys.readouterr().err
    typed(monkeypatch, b"\xff\xfe")
    assert main(["secret", "set", "warehouse"]) == 2
    assert "is not UTF-8" in capsys.readouterr().err


def test_a_secret_that_is_not_there_cannot_be_removed(stored: Secrets, capsys: Captured):
    assert main(["secret", "remove", "nobody", "--yes"]) == 2
    assert "there is no secret nobody in the store" in capsys.readouterr().err
