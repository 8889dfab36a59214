"""Names of prices, and the newest of each."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from mlray.market.prices.name import PriceName
from mlray.market.prices.table import Listed, PriceTable
from mlray.units import Price

OLD = Listed(PriceName.parse("aws/us-east-1/m7i.large/spot"), Price.parse("$0.04/h"), date(2026, 1, 1), "first")
NEW = replace(OLD, price=Price.parse("$0.05/h"), as_of=date(2026, 2, 1), source="second")


def test_the_newest_price_counts_whatever_the_order():
    assert PriceTable.of([OLD, NEW]).rows == PriceTable.of([NEW, OLD]).rows == {OLD.name: NEW}


def test_a_price_nobody_listed_is_none():
    table = PriceTable.of([NEW])
    names = ("aws/us-east-1/m7i.large/on-demand", "aws/us-east-2/m7i.large/spot", "gcp/us-east-1/m7i.large/spot")
    assert [table.price_of(PriceName.parse(name)) for name in names] == [None, None, None]


@pytest.mark.parametrize(
    ("zone", "region"),
    [
        ("aws/us-east-1a/x/spot", "aws/us-east-1/x/spot"),
        ("gcp/us-central1-b/x/spot", "gcp/us-central1/x/spot"),
        ("aws/us-east-1/x/spot", None),
        ("azure/eastus2/x/spot", None),
        ("gcp/us-central1/x/spot", None),
    ],
)
def test_a_zone_is_in_its_region(zone: str, region: str | None):
    around = PriceName.parse(zone).around
    assert (around and str(around)) == region


def test_a_zone_without_a_price_of_its_own_has_that_of_its_region():
    zone = replace(NEW, name=PriceName.parse("aws/us-east-1a/m7i.large/spot"), price=Price.parse("$0.03/h"))
    table = PriceTable.of([NEW, zone])
    found = [table.price_of(PriceName.parse(f"aws/us-east-1{letter}/m7i.large/spot")) for letter in "ab"]
    assert list(map(str, found)) == ["$0.03/h", "$0.05/h"]


@pytest.mark.parametrize("wrong", ["aws/us-east-1/m7i.large", "aws/us-east-1/m7i.large/free", "/us/x/spot", "aws/us/x y/spot", ""])
def test_what_names_no_price_is_refused(wrong: str):
    with pytest.raises(ValueError, match="write cloud/region/type/capacity, like aws"):
        PriceName.parse(wrong)


def test_rows_are_found_by_patterns():
    other = replace(OLD, name=PriceName.parse("gcp/us-east1/n2-standard-4/on-demand"))
    table = PriceTable.of([OLD, other])
    assert table.find("gcp") == table.find(type="n2-*") == table.find(capacity="on-demand") == (other,)
    assert table.find("azure") == ()
