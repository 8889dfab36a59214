"""The clouds' own forms become prices; what is no plain machine is left out."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlray.home import Home
from mlray.market.prices.form import Rates
from mlray.market.prices.reading import listed
from mlray.market.prices.store import PriceStore
from mlray.market.prices.table import Listed, PriceTable
from tests.market.prices import lists

DAY, NONE = date(2026, 3, 11), PriceTable()


def read(*pages: Any, known: PriceTable = NONE, rates: Rates | None = None) -> dict[str, Listed]:
    return {str(row.name): row for row in listed(pages, known, rates or Rates(), DAY)}


def prices(found: dict[str, Listed]) -> dict[str, str]:
    return {name: str(row.price) for name, row in found.items()}


def test_the_aws_list_tells_its_day_and_only_plain_linux_machines_are_read():
    found = read(lists.aws())
    assert prices(found) == {"aws/us-east-1/m7i.large/on-demand": "$0.105/h", "aws/us-east-1/p4d.24xlarge/on-demand": "$21.957642/h"}
    large = found["aws/us-east-1/p4d.24xlarge/on-demand"]
    assert (large.as_of, large.cpus, str(large.memory), large.gpus) == (date(2026, 3, 10), 96, "1152GiB", 8)


def test_of_aws_spot_prices_the_newest_of_a_zone_counts_and_the_dearest_zone_for_the_region():
    found = read(lists.aws_spot())
    assert prices(found) == {
        "aws/us-east-1a/m7i.large/spot": "$0.0417/h",
        "aws/us-east-1b/m7i.large/spot": "$0.0399/h",
        "aws/us-east-1/m7i.large/spot": "$0.0417/h",
    }
    assert found["aws/us-east-1/m7i.large/spot"].source == "AWS spot price history, the dearest zone (us-east-1a)"


def test_azure_tells_pay_as_you_go_and_spot_and_the_day_is_that_of_asking():
    found = read(lists.azure())
    assert prices(found) == {"azure/westeurope/Standard_D2s_v5/on-demand": "$0.115/h", "azure/westeurope/Standard_D2s_v5/spot": "$0.0243/h"}
    assert found["azure/westeurope/Standard_D2s_v5/spot"].as_of == DAY


def test_google_machines_are_the_sum_of_their_parts_over_all_pages(tmp_path: Path):
    """4 cores x 0.031611 + 16 GiB x 0.004237 = 0.194236, which is Google's own price of an n2-standard-4."""
    known = PriceStore(Home.at(tmp_path)).table()
    found = read(*lists.gcp(), known=known)
    assert str(found["gcp/us-central1/n2-standard-4/on-demand"].price) == "$0.194236/h"
    assert str(found["gcp/us-east1/g2-standard-4/on-demand"].price) == "$0.706824/h"
    assert not [name for name in found if name.endswith("/spot") or "e2-" in name], "a part is missing: the price is not known"


def test_another_currency_needs_a_dated_rate_and_says_how_it_was_converted():
    euros = lists.azure([lists.azure_item(0.1, currencyCode="EUR")])
    with pytest.raises(ValueError, match="no rate for EUR"):
        read(euros)
    found = read(euros, rates=Rates({"EUR": Decimal("1.08")}, date(2026, 3, 1)))
    row = found["azure/westeurope/Standard_D2s_v5/on-demand"]
    assert (str(row.price), row.source) == ("$0.108/h", "Azure Retail Prices API (EUR 0.1 at 1.08 of 2026-03-01)")


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ([], "a JSON object is wanted"),
        ({"hello": 1}, "a form nobody knows"),
        ({"Items": [], "NextPageLink": None}, "no price of a machine"),
        ({"Items": [{"type": "Consumption"}]}, "no price of a machine"),
        ({"products": {"A": {"attributes": {}}}, "terms": {}}, "not as its form says: KeyError 'publicationDate'"),
        ({"skus": [{"description": "x"}]}, "not as its form says"),
        ({"SpotPriceHistory": "none"}, "not as its form says"),
        ({"prices": [{"region": "x"}]}, r"prices\[0\]: cloud: this field is required"),
    ],
)
def test_a_broken_list_is_refused_whole(page: Any, said: str):
    with pytest.raises(ValueError, match=said):
        read(page)


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(place for key, part in inside for place in places(part, (*way, key)))]


STRANGE: tuple[Any, ...] = (None, True, -1, 0, 1e-12, 1e30, "", "NaN", "1e999", "x", [], {}, [1], {"USD": "cheap"}, float("inf"))
MAKERS = (lists.aws, lists.aws_spot, lists.azure, lambda: lists.gcp()[1])


@given(st.sampled_from(MAKERS), st.integers(0, 10_000), st.sampled_from(STRANGE))
def test_a_list_with_something_strange_anywhere_is_refused_or_still_tells_prices_above_zero(make: Any, where: int, strange: Any):
    document = make()
    ways = places(document)
    way = ways[where % len(ways)]
    if not way:
        document = strange
    else:
        inside = document
        for step in way[:-1]:
            inside = inside[step]
        inside[way[-1]] = strange
    try:
        found = listed((document,), NONE, Rates(), DAY)
    except ValueError:
        return
    assert found and all(row.price.per_hour.micros > 0 for row in found)
