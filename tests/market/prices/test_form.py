"""Our own form of a price table."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlray.market.prices.form import csv_rows, rows_of, written
from mlray.market.prices.name import PriceName
from mlray.market.prices.table import Listed
from mlray.units import Memory, Money, Price

ROW = {"region": "us-east-1", "type": "m7i.large", "on_demand": 0.1008, "spot": "0.04", "cpus": 2, "memory": "8GiB"}
TABLE: dict[str, Any] = {"cloud": "aws", "as_of": "2026-02-09", "source": "a list", "prices": [ROW]}


def test_a_row_gives_a_price_for_each_capacity_it_names():
    on_demand, spot = rows_of(TABLE)
    assert (str(on_demand.name), str(on_demand.price)) == ("aws/us-east-1/m7i.large/on-demand", "$0.1008/h")
    assert (str(spot.name), str(spot.price), spot.as_of, spot.cpus) == ("aws/us-east-1/m7i.large/spot", "$0.04/h", date(2026, 2, 9), 2)


def test_a_table_in_euros_names_its_rate_and_its_day():
    euros = TABLE | {"currency": "EUR", "rates": {"EUR": 1.08}, "rates_as_of": "2026-02-01"}
    row = next(iter(rows_of(euros)))
    assert (str(row.price), row.source) == ("$0.108864/h", "a list (EUR 0.1008 at 1.08 of 2026-02-01)")
    for broken in ({"currency": "EUR"}, {"currency": "CHF", "rates": {"EUR": 1.08}, "rates_as_of": "2026-02-01"}, {"rates": {"EUR": 1}}):
        with pytest.raises(ValueError, match="rate"):
            list(rows_of(TABLE | broken))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"on_demand": 0}, r"prices\[0\]: on_demand: a price of 0: leave it out"),
        ({"on_demand": -1}, "a price of -1"),
        ({"on_demand": "NaN"}, "a price of NaN"),
        ({"on_demand": 1e-9}, "that is no price of a machine"),
        ({"on_demand": 1e30}, "that is no price of a machine"),
        ({"on_demand": "cheap"}, "'cheap' is no number"),
        ({"on_demand": True}, "True is no number"),
        ({"region": ""}, r"prices\[0\]: region: this field is required"),
        ({"type": "m7i large"}, "write cloud/region/type/capacity"),
        ({"as_of": "soon"}, r"prices\[0\]: Invalid isoformat"),
        ({"colour": "red"}, "no such field: colour"),
    ],
)
def test_a_mistake_names_row_and_field(change: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        list(rows_of(TABLE | {"prices": [ROW | change]}))


def test_csv_has_the_same_columns():
    row = {"cloud": "gcp", "region": "us-east1", "type": "n2-standard-4", "on_demand": "0.194236", "spot": "", "as_of": "2026-01-01"}
    (found,) = csv_rows([(2, row | {"source": "mine"})])
    assert str(found.name) == "gcp/us-east1/n2-standard-4/on-demand"
    with pytest.raises(ValueError, match="line 2: source: this field is required"):
        list(csv_rows([(2, row)]))


@given(
    st.integers(1, 10**9),
    st.sampled_from(["spot", "on-demand"]),
    st.none() | st.integers(1, 448),
    st.none() | st.integers(1, 4096),
    st.dates(),
)
def test_what_is_written_is_read_back(micros: int, capacity: str, cpus: int | None, gib: int | None, as_of: date):
    memory = None if gib is None else Memory(gib * 2**30)
    row = Listed(PriceName("aws", "us-east-1a", "x1.y", capacity), Price(Money(micros)), as_of, "somewhere", cpus, memory, 4, "T4")
    assert list(rows_of(written([row]))) == [row]
