from __future__ import annotations

import json

import pytest

from mlray.cli import main
from mlray.home import Home
from mlray.jobs.endpoints import Endpoint, remember
from tests.cli import vaults

Captured = pytest.CaptureFixture[str]


def test_a_diff_tells_schema_rows_rejections_parts_and_sources(home: Home, capsys: Captured):
    first = vaults.flights(home)
    second = vaults.more_flights(home, first)
    assert main(["data", "diff", "flights@3f", "@b2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["before"], found["after"]) == (str(first), str(second))
    assert found["schema"] == [{"column": "wind", "before": None, "after": "double"}]
    assert found["rows"] == [{"name": "test", "before": 2, "after": 3}, {"name": "train", "before": 3, "after": 3}]
    assert found["rejected"] == [{"name": "no-arrival", "before": 4, "after": 6}]
    assert (found["parts"]["shared"], found["parts"]["new"], found["parts"]["gone"]) == (1, 1, 1)
    assert found["made_from"] == [{"name": "source:flights.csv", "before": "abababababab", "after": "cdcdcdcdcdcd"}]


def test_a_diff_in_words_names_each_kind_of_difference_once(home: Home, capsys: Captured):
    vaults.more_flights(home, vaults.flights(home))
    assert main(["data", "diff", "flights@3f", "flights"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if line.endswith(":")] == ["made from:", "schema:", "rows:", "rejected:"]
    assert "1 shared" in printed[2] and "1 new" in printed[2] and "1 gone" in printed[2]


def test_a_version_and_itself_differ_in_nothing(home: Home, capsys: Captured):
    vaults.flights(home)
    assert main(["data", "diff", "flights", "flights", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == found["rejected"] == found["statistics"] == found["made_from"] == []


def test_lineage_goes_from_the_source_to_the_release(home: Home, capsys: Captured):
    first = vaults.flights(home)
    vaults.more_flights(home, first)
    late = vaults.model(home, first)
    remember(home.prepare(), Endpoint("late-api", "https://127.0.0.1:8000", str(late), "local"))
    assert main(["data", "lineage", "flights@3f"]) == 0
    source, dataset, model, release = capsys.readouterr().out.splitlines()
    assert source == "source flights.csv abababababab"
    assert dataset.startswith(f"  dataset {first} ") and model.startswith(f"    model {late} ")
    assert release == "      release late-api https://127.0.0.1:8000"

    assert main(["data", "lineage", "late", "--models", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["root"] == str(late) and len(found["nodes"]) == 4
    assert {"of": str(first), "to": str(late)} in found["edges"]

    assert main(["data", "lineage", "flights@b2", "--dot"]) == 0
    drawn = capsys.readouterr().out
    assert drawn.startswith("digraph lineage {") and "late" not in drawn


def test_statistics_that_moved_are_told_and_moments_as_moments(home: Home, capsys: Captured):
    vaults.reported(home, "aa", [1.0, 2.0, 3.0], day=1)
    vaults.reported(home, "bb", [1.0, None, 9.0], day=5)
    assert main(["data", "diff", "weather@aa", "@bb", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [count["name"] for count in found["rows"]] == ["train"], "what mlray keeps beside the rows is no split of theirs"
    moved = {(m["column"], m["statistic"]): (m["before"], m["after"]) for m in found["statistics"]}
    assert moved[("wind", "max")] == (3.0, 9.0) and ("wind", "min") not in moved
    assert moved[("wind", "share of nulls")] == (0.0, pytest.approx(1 / 3))
    assert moved[("when", "min")] == ("2026-06-01T00:00:00Z", "2026-06-05T00:00:00Z")
    assert not any(column == "mail" for column, _ in moved)
