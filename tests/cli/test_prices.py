"""mlray prices: list, show, update."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlray.cli import main
from mlray.home import Home
from tests.market.prices import lists

Captured = pytest.CaptureFixture[str]


def said(capsys: Captured, *words: str, code: int = 0) -> str:
    assert main(["prices", *words]) == code
    out, err = capsys.readouterr()
    return out if code == 0 else err


def test_prices_are_listed_by_pattern(home: Home, capsys: Captured):
    lines = said(capsys, "list", "--cloud", "aws", "--region", "us-east-1", "--type", "m7i.*large").splitlines()
    assert lines[0].split() == ["price", "per", "hour", "cpus", "memory", "gpus", "as", "of"]
    assert ["aws/us-east-1/m7i.large/on-demand", "$0.1008", "2", "8GiB", "-", "2026-02-09"] in [line.split() for line in lines]
    assert "no price of this name is known" in said(capsys, "list", "--cloud", "none")


def test_one_price_is_shown_with_its_source(home: Home, capsys: Captured):
    found = json.loads(said(capsys, "show", "aws/us-east-1a/g5.xlarge/on-demand", "--json"))
    assert (found["price_usd_per_hour"], found["as_of"], found["gpus"], found["gpu"]) == (1.006, "2026-02-09", 1, "A10G")
    assert "karpenter" in found["source"]
    assert "no price of aws/us-east-1/g5.xlarge/spot is known" in said(capsys, "show", "aws/us-east-1/g5.xlarge/spot", code=2)
    assert "write cloud/region/type/capacity" in said(capsys, "show", "g5.xlarge", code=2)


def test_an_update_is_kept_in_the_home(home: Home, tmp_path: Path, capsys: Captured):
    (tmp_path / "spot.json").write_text(json.dumps(lists.aws_spot()))
    assert said(capsys, "update", str(tmp_path / "spot.json")).startswith("3 new, 0 newer than before, 0 not newer; kept in ")
    assert said(capsys, "update", str(tmp_path / "spot.json")).startswith("0 new, 0 newer than before, 3 not newer")
    assert "$0.0417" in said(capsys, "show", "aws/us-east-1/m7i.large/spot")


def test_a_bad_list_changes_nothing(home: Home, tmp_path: Path, capsys: Captured):
    (tmp_path / "spot.json").write_text(json.dumps(lists.aws_spot()))
    said(capsys, "update", str(tmp_path / "spot.json"))
    kept = (home.root / "prices.json").read_bytes()
    half = lists.aws_spot()
    half["SpotPriceHistory"][2]["SpotPrice"] = "free"
    (tmp_path / "spot.json").write_text(json.dumps(half))
    assert "'free' is no number" in said(capsys, "update", str(tmp_path / "spot.json"), code=2)
    assert (home.root / "prices.json").read_bytes() == kept


def test_only_some_of_a_list_may_be_kept_and_euros_need_a_rate(home: Home, tmp_path: Path, capsys: Captured):
    file = tmp_path / "azure.json"
    rows = [lists.azure_item(0.1, currencyCode="EUR"), lists.azure_item(0.2, currencyCode="EUR", armRegionName="northeurope")]
    file.write_text(json.dumps(lists.azure(rows)))
    assert "no rate for EUR" in said(capsys, "update", str(file), code=2)
    with_rate = ("update", str(file), "--as-of", "2026-03-11", "--rate", "EUR=1.08", "--rates-as-of", "2026-03-01")
    assert said(capsys, *with_rate, "--region", "west*").startswith("1 new")
    assert "(EUR 0.1 at 1.08 of 2026-03-01)" in said(capsys, "show", "azure/westeurope/Standard_D2s_v5/on-demand")
    assert "none of its 2 prices" in said(capsys, *with_rate, "--region", "moon", code=2)


@pytest.mark.parametrize(
    ("option", "value", "wanted"), [("--as-of", "soon", "write a day like"), ("--rate", "EUR", "write dollars for one unit")]
)
def test_an_option_that_says_nothing_is_refused(home: Home, capsys: Captured, option: str, value: str, wanted: str):
    assert wanted in said(capsys, "update", "x.json", option, value, code=2)


def test_a_cluster_is_quoted_before_it_is_started(home: Home, capsys: Captured):
    file = Path(__file__).parents[2] / "cluster" / "local.yaml"
    told = json.loads(said(capsys, "quote", str(file), "--json"))
    assert (told["least_usd"], told["most_usd"], told["lines"][0]["price_usd_per_hour"]) == (4.13, 8.16, 0.1)
    assert "least          $4.13" in said(capsys, "quote", str(file))


def test_a_cluster_with_a_price_nobody_knows_is_not_started(home: Home, tmp_path: Path, capsys: Captured):
    text = (Path(__file__).parents[2] / "cluster" / "local.yaml").read_text()
    file = tmp_path / "c.yaml"
    file.write_text(text.replace("spot: $0.97/h", "spot: aws/us-east-1/m7i.large/spot"))
    assert main(["up", str(file)]) == 2
    assert "metadata.mlray.prices.spot: aws/us-east-1/m7i.large/spot: no price of this name is known" in capsys.readouterr().err
    assert not (home.root / "clusters").exists()
    told = json.loads(said(capsys, "quote", str(file), "--json"))
    assert (told["least_usd"], told["lines"][2]["price_usd_per_hour"]) == (None, None)
