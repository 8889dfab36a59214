from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from mlray.cli import main
from mlray.home import Home
from tests.cli import vaults

Captured = pytest.CaptureFixture[str]
PHRASE = "correct horse battery staple"


def said(capsys: Captured) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def phrase(tmp_path: Path) -> Path:
    file = tmp_path / "phrase"
    file.write_text(PHRASE + "\n")
    return file


def test_a_store_comes_back_whole_in_another_home(home: Home, phrase: Path, tmp_path: Path, monkeypatch, capsys: Captured):
    made = vaults.flights(home)
    place = tmp_path / "backup"
    assert main(["data", "backup", str(place), "--passphrase-file", str(phrase), "--json"]) == 0
    first = said(capsys)
    assert first["keyring"] and first["copied"] > 3
    assert main(["data", "backup", str(place), "--passphrase-file", str(phrase), "--json"]) == 0
    assert said(capsys)["copied"] < first["copied"]

    monkeypatch.setenv("MLRAY_HOME", str(tmp_path / "other"))
    monkeypatch.setattr("sys.stdin", io.StringIO(PHRASE + "\n"))
    assert main(["data", "restore", str(place), "--passphrase-file", "-", "--json"]) == 0
    assert said(capsys)["versions"] == 1
    assert main(["data", "verify", str(made)]) == 0


def test_without_a_passphrase_it_says_on_stderr_what_is_missing_and_the_keyring_file_opens_it(
    home: Home, tmp_path: Path, monkeypatch, capsys: Captured
):
    vaults.flights(home)
    place = tmp_path / "backup"
    assert main(["data", "backup", str(place)]) == 0
    printed = capsys.readouterr()
    assert "note: the keyring is not in it" in printed.err and "note" not in printed.out
    monkeypatch.setenv("MLRAY_HOME", str(tmp_path / "other"))
    assert main(["data", "restore", str(place)]) == 1
    assert "the backup holds no keyring" in capsys.readouterr().err
    assert main(["data", "restore", str(place), "--keyring", str(home.keyring)]) == 0


def test_a_home_that_is_used_is_not_restored_over(home: Home, phrase: Path, tmp_path: Path, capsys: Captured):
    vaults.flights(home)
    assert main(["data", "backup", str(tmp_path / "backup"), "--passphrase-file", str(phrase)]) == 0
    assert main(["data", "restore", str(tmp_path / "backup"), "--passphrase-file", str(phrase)]) == 1
    assert "is restored into an empty home" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "says"), [(b"", "the passphrase is empty"), (b"\xff\xfe", "cannot be read as text: not UTF-8")])
def test_a_passphrase_that_is_none_is_refused_before_anything_is_copied(
    text: bytes, says: str, home: Home, tmp_path: Path, capsys: Captured
):
    vaults.flights(home)
    (tmp_path / "phrase").write_bytes(text)
    assert main(["data", "backup", str(tmp_path / "backup"), "--passphrase-file", str(tmp_path / "phrase")]) == 2
    assert says in capsys.readouterr().err and not (tmp_path / "backup").exists()
