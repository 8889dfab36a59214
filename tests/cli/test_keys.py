from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from mlray.cli import main
from mlray.home import Home
from tests.cli import vaults

Captured = pytest.CaptureFixture[str]


def said(capsys: Captured) -> Any:
    return json.loads(capsys.readouterr().out)


def masters(capsys: Captured) -> list[dict[str, Any]]:
    assert main(["keys", "list", "--json"]) == 0
    return list(said(capsys)["masters"])


def test_a_fresh_home_has_a_local_master_for_each_scope_and_one_version_is_wrapped(home: Home, capsys: Captured):
    vaults.flights(home)
    found = masters(capsys)
    assert [(m["scope"], m["kind"], m["current"], m["wraps"]) for m in found] == [
        ("data", "local", True, 1),
        ("personal", "local", True, 1),
        ("secret", "local", True, 1),
    ]


def test_rotation_moves_the_version_to_a_new_master_and_the_old_one_can_be_retired(home: Home, capsys: Captured):
    vaults.flights(home)
    before = masters(capsys)[0]["id"]
    assert main(["keys", "rotate", "--json"]) == 0
    moved = said(capsys)
    assert (moved["before"], moved["rewrapped"], moved["made"]) == (before, 1, True)
    assert [(m["id"], m["current"], m["wraps"]) for m in masters(capsys) if m["scope"] == "data"] == [
        (before, False, 0),
        (moved["master"], True, 1),
    ]
    assert main(["data", "verify", "flights"]) == 0
    capsys.readouterr()

    assert main(["keys", "retire", before]) == 2
    told = capsys.readouterr().err
    assert f"forgets master key {before} of scope data" in told and "add --yes" in told
    assert main(["keys", "retire", before, "--yes", "--json"]) == 0
    assert said(capsys) == {"id": before, "scope": "data", "kind": "local", "retired": True}
    assert main(["data", "verify", "flights"]) == 0


def test_the_current_master_cannot_be_retired_also_with_yes(home: Home, capsys: Captured):
    vaults.flights(home)
    current = masters(capsys)[0]["id"]
    assert main(["keys", "retire", current, "--yes"]) == 1
    assert f"master key {current} is the one that wraps in scope data" in capsys.readouterr().err


def test_a_check_ends_with_1_when_a_key_is_lost_and_says_which(home: Home, capsys: Captured):
    made = vaults.flights(home)
    main(["keys", "check", "--json"])
    assert str(made) in {one["what"] for one in said(capsys)["findings"] if not one["hurts"]}
    next(Path(home.store.removeprefix("file://")).rglob("key.json")).unlink()
    assert main(["keys", "check", "--json"]) == 1
    (lost,) = [one for one in said(capsys)["findings"] if one["what"] == str(made)]
    assert lost["hurts"] and "key.json is gone" in lost["said"]


def test_an_exported_keyring_is_private_and_reads_but_does_not_rotate(home: Home, tmp_path: Path, monkeypatch, capsys: Captured):
    vaults.flights(home)
    file = tmp_path / "reader" / "keyring.json"
    assert main(["keys", "export", str(file), "--json"]) == 0
    assert said(capsys)["scopes"] == ["data"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    monkeypatch.setenv("MLRAY_STORE", home.store)
    monkeypatch.setenv("MLRAY_HOME", str(file.parent))
    assert main(["data", "verify", "flights"]) == 0
    capsys.readouterr()
    assert main(["keys", "rotate"]) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["keys", "rotate", "--scope", "all"], "--scope 'all' is no scope"),
        (["keys", "use", "gcp"], "'gcp' is no kind of master key"),
        (["keys", "use", "aws-kms"], "--key-id is missing"),
        (["keys", "export", "x.json", "--scope", "everything"], "--scope 'everything' is no scope"),
    ],
)
def test_what_is_written_wrong_is_refused_in_one_sentence(arguments: list[str], says: str, home: Home, capsys: Captured):
    vaults.flights(home)
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"error: {says}")
