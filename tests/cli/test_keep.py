from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest

from mlray.access.audit_store import AuditStore
from mlray.cli import main
from mlray.clock import SystemClock
from mlray.home import Home
from mlray.jobs import erasing
from tests.cli import vaults
from tests.jobs.sealed import patients

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())


def said(capsys: Captured) -> Any:
    return json.loads(capsys.readouterr().out)


def left(capsys: Captured) -> list[str]:
    assert main(["data", "list", "--json"]) == 0
    return [row["version"] for row in said(capsys)["datasets"]]


def test_versions_past_their_time_are_shown_and_destroyed_only_with_yes(home: Home, monkeypatch, capsys: Captured):
    old, kept = patients(home, "aa", keep="90d"), vaults.flights(home)
    monkeypatch.setattr(SystemClock, "now", lambda _: old.manifest.created + timedelta(days=91))
    assert main(["data", "prune"]) == 2
    told = capsys.readouterr().err
    assert f"{old} is destroyed: it was to be kept 90d" in told and "breaks latest" in told and "add --yes" in told
    assert left(capsys) == [str(kept), str(old)]

    assert main(["data", "prune", "--yes", "--json"]) == 0
    fates = {row["version"]: row["destroyed"] for row in said(capsys)["versions"]}
    assert fates == {str(old): True, str(kept): False}
    assert left(capsys) == [str(kept)]
    assert [entry.deed.did for entry in AuditStore(home.database).entries()] == ["destroy"]


def test_unused_versions_go_and_tagged_latest_and_trained_on_ones_stay(home: Home, capsys: Captured):
    first = vaults.flights(home)
    vaults.model(home, first)
    second = vaults.more_flights(home, first)
    assert main(["data", "prune", "--unused", "--json"]) == 0
    assert [row["destroyed"] for row in said(capsys)["versions"]] == [False, False]
    assert left(capsys) == [str(first), str(second)]


def test_what_nobody_agreed_to_stays_though_it_became_unused_meanwhile(home: Home):
    first = vaults.flights(home)
    agreed = [fate for fate in erasing.fates(home, SystemClock().now(), unused=True) if fate.destroyed]
    vaults.more_flights(home, first)
    done = erasing.prune(home, SystemClock().now(), unused=True, only=[str(fate.standing) for fate in agreed])
    assert {str(fate.standing): (fate.destroyed, fate.why) for fate in done}[str(first)] == (False, "nobody was asked")


def test_an_erased_subject_leaves_a_certificate_and_the_version_forgets_them(home: Home, capsys: Captured):
    patients(home)
    assert main(["data", "erase", "patients", "--subject", "ada"]) == 2
    told = capsys.readouterr().err
    assert "destroys the key of one subject of patients" in told and "ada" not in told
    assert main(["data", "erase", "patients", "--subject", "ada", "--yes", "--json"]) == 0
    done = said(capsys)
    assert done["whole"] and not done["again"] and done["certificate"].startswith("1:") and "ada" not in json.dumps(done)
    vault = vaults.opened(home)
    assert vault.read(vault.find_dataset("patients"), "train")["person"].to_pylist() == [None, "bob", "eve", None, "kim", None]


def test_a_subject_may_come_from_stdin_so_that_no_list_of_processes_shows_them(home: Home, monkeypatch, capsys: Captured):
    patients(home)
    monkeypatch.setattr("sys.stdin", io.StringIO("ada\n"))
    assert main(["data", "erase", "patients", "--subject", "-", "--yes", "--json"]) == 0
    assert said(capsys)["whole"]


def test_a_version_that_still_holds_the_subject_is_named_and_the_end_is_1(home: Home, capsys: Captured):
    patients(home)
    open_one = patients(home, "bb", by_subject=False)
    assert main(["data", "erase", "patients", "--subject", "ada", "--yes", "--json"]) == 1
    (unreached,) = said(capsys)["unreached"]
    assert (unreached["version"], unreached["rows"]) == (str(open_one), 2)
    assert main(["data", "erase", "patients", "--subject", "ada", "--destroy-versions", "--yes", "--json"]) == 0
    assert said(capsys)["destroyed"] == [str(open_one)]


def test_a_dataset_that_is_not_there_and_nobody_to_erase(home: Home, capsys: Captured):
    patients(home)
    assert main(["data", "erase", "patience", "--subject", "ada", "--yes"]) == 1
    assert "no dataset named 'patience'" in capsys.readouterr().err
    assert main(["data", "erase", "patients", "--subject", "", "--yes"]) == 2
    assert "--subject is empty" in capsys.readouterr().err
