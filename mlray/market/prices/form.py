"""Our own form of a price table: one object with `prices`, or CSV with the same names as columns.

    {"cloud": "aws", "currency": "USD", "as_of": "2026-02-09", "source": "AWS price list",
     "prices": [{"region": "us-east-1", "type": "m7i.large", "on_demand": 0.1008, "cpus": 2, "memory": "8GiB"}]}

What stands at the top holds for every row that does not say otherwise. A table in another currency than US dollars names
what one unit of it is worth in dollars, and when: `"currency": "EUR", "rates": {"EUR": 1.08}, "rates_as_of": "2026-02-01"`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from mlray.market.prices.name import PriceName
from mlray.market.prices.table import Listed
from mlray.units import Memory, Money, Price

CAPACITIES = {"on_demand": "on-demand", "spot": "spot"}
DEAREST = 1_000_000
COLUMNS = ("cloud", "region", "type", "on_demand", "spot", "cpus", "memory", "gpus", "gpu", "as_of", "source", "currency")
TOP = ("cloud", "currency", "as_of", "source", "rates", "rates_as_of", "note", "prices")


@dataclass(frozen=True, slots=True)
class Rates:
    """What one unit of a currency is worth in US dollars, and since when. A currency that is not here has no price."""

    dollars: Mapping[str, Decimal] = field(default_factory=dict)
    as_of: date | None = None

    def price(self, amount: Decimal, currency: str) -> tuple[Price, str]:
        """The price in dollars, and how it was converted. Raises ValueError for an unknown currency or a price of 0 or less."""
        if not amount.is_finite() or amount <= 0:
            raise ValueError(f"a price of {amount}: leave it out where it is not known")
        if currency == "USD":
            return _price(amount), ""
        if currency not in self.dollars or self.as_of is None:
            raise ValueError(f"no rate for {currency}: give one and its day, such as rates: {{{currency}: 1.08}}, rates_as_of: 2026-02-01")
        rate = self.dollars[currency]
        return _price(amount * rate), f" ({currency} {amount} at {rate} of {self.as_of})"


def rows_of(document: Mapping[str, Any], rates: Rates | None = None) -> Iterator[Listed]:
    """Every price of a table in our form. Raises ValueError that names the row and the field."""
    if stranger := [name for name in document if name not in TOP]:
        raise ValueError(f"no such field: {', '.join(stranger)}")
    prices = document["prices"]
    if not isinstance(prices, list):
        raise ValueError("prices: a list of rows is wanted")
    own = _rates(document, rates or Rates())
    defaults = {name: document[name] for name in ("cloud", "currency", "as_of", "source") if name in document}
    for i, row in enumerate(prices):
        if not isinstance(row, dict):
            raise ValueError(f"prices[{i}]: an object is wanted")
        yield from _row(defaults | row, own, f"prices[{i}]")


def csv_rows(rows: Iterable[tuple[int, Mapping[str, str]]], rates: Rates | None = None) -> Iterator[Listed]:
    """The same from rows of a CSV file with their lines; empty cells are left out."""
    for line, row in rows:
        yield from _row({name: cell.strip() for name, cell in row.items() if cell and cell.strip()}, rates or Rates(), f"line {line}")


def written(rows: Iterable[Listed]) -> dict[str, Any]:
    """The table as our form, one row for each price."""
    return {"prices": [_written(row) for row in rows]}


def _written(row: Listed) -> dict[str, Any]:
    price = {"on-demand": "on_demand", "spot": "spot"}[row.name.capacity]
    size = {"cpus": row.cpus, "memory": row.memory and str(row.memory), "gpus": row.gpus, "gpu": row.gpu}
    known = {name: value for name, value in size.items() if value not in (None, "")}
    where = {"cloud": row.name.cloud, "region": row.name.region, "type": row.name.type, price: row.price.per_hour.usd}
    return where | known | {"as_of": row.as_of.isoformat(), "source": row.source}


def _row(row: Mapping[str, Any], rates: Rates, where: str) -> Iterator[Listed]:
    try:
        if stranger := [name for name in row if name not in COLUMNS]:
            raise ValueError(f"no such field: {', '.join(stranger)}")
        if missing := [name for name in ("cloud", "region", "type", "as_of", "source") if not row.get(name)]:
            raise ValueError(f"{missing[0]}: this field is required, in the row or above all rows")
        for field_, capacity in CAPACITIES.items():
            if row.get(field_) is not None:
                yield _listed(row, rates, field_, capacity)
    except (ValueError, ArithmeticError) as error:
        raise ValueError(f"{where}: {error}") from error


def _listed(row: Mapping[str, Any], rates: Rates, field_: str, capacity: str) -> Listed:
    name = PriceName.parse(f"{row['cloud']}/{row['region']}/{row['type']}/{capacity}")
    try:
        price, how = rates.price(decimal(row[field_]), str(row.get("currency", "USD")))
    except ValueError as error:
        raise ValueError(f"{field_}: {error}") from error
    memory = Memory.parse(str(row["memory"])) if row.get("memory") else None
    cpus, gpus = (None if row.get(size) is None else float(decimal(row[size])) for size in ("cpus", "gpus"))
    as_of = date.fromisoformat(str(row["as_of"]))
    return Listed(name, price, as_of, f"{row['source']}{how}", cpus, memory, None if gpus is None else int(gpus), str(row.get("gpu", "")))


def _price(dollars: Decimal) -> Price:
    """Rounded to the micro-dollar. What would come to nothing is no price: nothing is free."""
    found = Price(Money.dollars(dollars)) if dollars < DEAREST else None
    if found is None or found.per_hour.micros <= 0:
        raise ValueError(f"a price of ${dollars:g} for an hour: that is no price of a machine")
    return found


def decimal(value: Any) -> Decimal:
    """The exact number that was written. Raises ValueError."""
    try:
        if isinstance(value, bool):
            raise InvalidOperation
        return Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError(f"{value!r} is no number") from error


def _rates(document: Mapping[str, Any], given: Rates) -> Rates:
    """What the table says itself, before what was given with it."""
    if "rates" not in document:
        return given
    rates, as_of = document["rates"], document.get("rates_as_of")
    if not isinstance(rates, dict) or not as_of:
        raise ValueError("rates: dollars for one unit of each currency are wanted, and their day in rates_as_of")
    return Rates({str(currency): decimal(rate) for currency, rate in rates.items()}, date.fromisoformat(str(as_of)))
