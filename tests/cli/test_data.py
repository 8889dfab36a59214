from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlray.cli import main
from mlray.home import Home
from mlray.vault.version import Json
from tests.cli import vaults

Captured = pytest.CaptureFixture[str]


def said(capsys: Captured) -> Any:
    return json.loads(capsys.readouterr().out)


def test_versions_are_listed_with_their_tags(home: Home, capsys: Captured):
    first = vaults.flights(home)
    second = vaults.more_flights(home, first, tags=("good",))
    assert main(["data", "list", "--json"]) == 0
    old, new = said(capsys)["datasets"]
    assert (old["version"], old["rows"], old["parts"], old["tags"]) == (str(first), 5, 2, [])
    assert (new["version"], new["rows"], new["tags"]) == (str(second), 6, ["good", "latest"])


def test_a_version_is_shown_with_what_it_was_made_from(home: Home, capsys: Captured):
    vaults.flights(home)
    assert main(["data", "show", "flights", "--json"]) == 0
    shown = said(capsys)
    assert shown["rows"] == {"train": 3, "test": 2} and shown["rejected"] == {"no-arrival": 4}
    assert shown["schema"] == {"distance": "double"} and shown["digest"] == "3f" * 32
    assert shown["lineage"]["source:flights.csv"] == "ab" * 32
    assert (shown["tags"], shown["shared_parts"]) == (["latest"], 0)


def test_a_version_tells_how_many_parts_it_shares(home: Home, capsys: Captured):
    vaults.more_flights(home, vaults.flights(home))
    assert main(["data", "show", "flights", "--json"]) == 0
    shown = said(capsys)
    assert (shown["parts"], shown["shared_parts"]) == (2, 1)


def test_a_tag_finds_its_version_and_moves(home: Home, capsys: Captured):
    first = vaults.flights(home)
    second = vaults.more_flights(home, first)
    assert main(["data", "tag", "flights@3f", "good", "--json"]) == 0
    assert said(capsys) == {"version": str(first), "tag": "good", "before": None}
    assert main(["data", "show", "flights@good", "--json"]) == 0
    assert said(capsys)["version"] == str(first)
    assert main(["data", "tag", "flights", "good", "--json"]) == 0
    assert said(capsys) == {"version": str(second), "tag": "good", "before": str(first)}


def test_a_name_that_can_be_no_tag_is_refused(home: Home, capsys: Captured):
    vaults.flights(home)
    assert main(["data", "tag", "flights", "../up"]) == 1
    assert "'../up' cannot be a tag" in capsys.readouterr().err


def test_a_version_that_is_whole_verifies_and_one_flipped_byte_does_not(home: Home, capsys: Captured):
    vaults.flights(home)
    assert main(["data", "verify", "flights@3f"]) == 0
    part = next(path for path in Path(home.store.removeprefix("file://")).rglob("*") if path.is_file() and path.read_bytes()[:4] == b"PARE")
    damaged = bytearray(part.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    part.write_bytes(damaged)
    capsys.readouterr()
    assert main(["data", "verify", "flights", "--json"]) == 1
    assert said(capsys)["error"]["type"] == "TamperError"


def test_an_unknown_name_is_an_error_with_a_hint(home: Home, capsys: Captured):
    vaults.flights(home)
    assert main(["data", "show", "fligths"]) == 1
    assert "flights" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["flights@", "@3f", "a/b", "../flights"])
def test_what_can_be_no_version_is_refused_as_written(name: str, capsys: Captured):
    assert main(["data", "show", name]) == 2
    assert capsys.readouterr().err == f"error: {name!r} names no version\n  write NAME, NAME@DIGEST or NAME@TAG\n"


ABOUT: dict[str, Json] = {
    "classes": {"distance": "public", "mail": "personal"},
    "protection": {"mail": {"how": "drop"}, "distance": {"how": "generalise", "step": 100.0, "bins": []}},
    "evolution": {
        "declared": {"flights": {"left_out": ["minute", "year"]}},
        "since": {"version": "flights@aa", "added": ["mail"], "dropped": [], "changed": {"distance": ["int64", "double"]}},
    },
    "seen": "2026-06-01",
}


def test_each_column_is_told_with_its_class_and_protection_also_one_that_was_dropped(home: Home, capsys: Captured):
    vaults.flights(home, ABOUT)
    assert main(["data", "show", "flights", "--json"]) == 0
    shown = said(capsys)
    assert [[one[of] for of in ("column", "type", "classed", "protection", "nulls")] for one in shown["columns"]] == [
        ["distance", "double", "public", "generalise, step 100.0", None],
        ["mail", None, "personal", "drop", None],
    ]
    assert shown["about"] == {"seen": "2026-06-01"}
    assert shown["evolution"] == [
        {"of": "source flights", "what": "left out", "columns": ["minute", "year"]},
        {"of": "since flights@aa", "what": "added", "columns": ["mail"]},
        {"of": "since flights@aa", "what": "changed", "columns": ["distance int64 to double"]},
    ]

    assert main(["data", "show", "flights"]) == 0
    printed = capsys.readouterr().out
    assert "schema" not in printed and "checks" not in printed
    assert "mail      -       personal  drop" in printed


def test_the_account_that_a_version_keeps_is_shown_by_column_and_finding(home: Home, capsys: Captured):
    vaults.reported(home, "aa", [1.0, None, 3.0], day=1)
    assert main(["data", "show", "weather", "--json"]) == 0
    shown = said(capsys)
    wind, when, mail = shown["columns"]
    assert (wind["nulls"], wind["min"], wind["mean"], wind["max"]) == ("33.33%", "1", "2", "3")
    assert (when["min"], when["max"]) == ("2026-06-01T00:00:00Z", "2026-06-01T02:00:00Z")
    assert (mail["nulls"], mail["min"]) == ("0.00%", None)
    assert [count for _, _, count in shown["statistics"]["wind"]["bins"]] == [1, 1]
    assert shown["checks"] == [{"found": "row_count : 3 rows, at least 9 are wanted", "held": False, "on_fail": "warn"}]
    assert shown["rows"] == {"train": 3}

    assert main(["data", "show", "weather"]) == 0
    printed = capsys.readouterr().out
    assert "row_count : 3 rows, at least 9 are wanted  no" in printed and "2026-06-01T00:00:00Z" in printed and "bins" not in printed


def test_a_version_whose_keys_were_destroyed_is_still_shown_without_its_account(home: Home, capsys: Captured):
    made = vaults.reported(home, "aa", [1.0, None, 3.0], day=1)
    vaults.opened(home).shelf.shred("dataset", made.name, made.digest)
    assert main(["data", "show", "weather", "--json"]) == 0
    assert said(capsys)["statistics"] is None
