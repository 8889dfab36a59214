from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from mlray.cli import main
from mlray.home import Home
from tests.cli import vaults

Captured = pytest.CaptureFixture[str]


def test_a_report_tells_splits_checks_and_columns(home: Home, capsys: Captured):
    vaults.reported(home, "aa", [1.0, None, 3.0], day=1)
    assert main(["data", "report", "weather"]) == 0
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if line.endswith(":")] == ["splits:", "checks:", "columns:"]
    assert "failed  warn     row_count : 3 rows, at least 9 are wanted" in printed
    (wind,) = [line.split() for line in printed.splitlines() if line.startswith("  wind")]
    assert wind == ["wind", "double", "-", "-", "33.3%", "1", "2", "3", "-"]


def test_a_report_as_json_holds_every_column(home: Home, capsys: Captured):
    vaults.reported(home, "aa", [1.0, None, 3.0], day=1)
    assert main(["data", "report", "weather", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [column["column"] for column in told["columns"]] == ["wind", "when", "mail"]
    assert told["columns"][0]["splits"]["train"]["max"] == 3.0


def test_a_report_as_a_page_is_readable_by_its_owner_alone_and_takes_the_place_of_an_older_one(
    home: Home, tmp_path: Path, capsys: Captured
):
    vaults.reported(home, "aa", [1.0, None, 3.0], day=1)
    file = tmp_path / "report.html"
    for _ in range(2):
        assert main(["data", "report", "weather", "--html", str(file)]) == 0
    assert capsys.readouterr().out == f"written to {file}\n" * 2
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and "<svg" in file.read_text()
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == ["report.html"]


def test_a_page_that_cannot_be_written_and_a_version_without_a_report_are_told(home: Home, tmp_path: Path, capsys: Captured):
    vaults.reported(home, "aa", [1.0, None, 3.0], day=1)
    assert main(["data", "report", "weather", "--html", str(tmp_path / "no" / "report.html")]) == 2
    assert "cannot be written: No such file or directory" in capsys.readouterr().err
    vaults.flights(home)
    assert main(["data", "report", "flights"]) == 1
    assert "has no report that this keyring can open" in capsys.readouterr().err
