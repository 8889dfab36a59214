"""AWS: the bulk price list (`AmazonEC2/current/REGION/index.json`), and spot prices as `describe-spot-price-history` gives them.

The price list needs no credentials; the spot history does, so it is read from what the AWS command line printed.
Format: https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-the-aws-price-list-bulk-api.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from mlray.market.prices.form import Rates, decimal
from mlray.market.prices.name import PriceName
from mlray.market.prices.table import Listed
from mlray.units import Memory

# Shared Linux machines bought on demand: what every other kind of the same instance type is not.
PLAIN = {"operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}
LINUX = ("Linux/UNIX", "Linux/UNIX (Amazon VPC)")


def listed(document: Mapping[str, Any], rates: Rates) -> Iterator[Listed]:
    """On-demand prices of every plain Linux instance; the list says its own day."""
    as_of = _day(document["publicationDate"])
    terms = document["terms"].get("OnDemand", {})
    for sku, product in document["products"].items():
        attributes = product.get("attributes", {})
        if not _plain(product, attributes):
            continue
        for currency, amount in _hourly(terms.get(sku, {})):
            price, how = rates.price(amount, currency)
            name = PriceName.parse(f"aws/{attributes['regionCode']}/{attributes['instanceType']}/on-demand")
            gpus = int(attributes["gpu"]) if str(attributes.get("gpu", "")).isdigit() else None
            yield Listed(name, price, as_of, f"AWS price list{how}", float(attributes["vcpu"]), _memory(attributes), gpus)


def spot(document: Mapping[str, Any], rates: Rates) -> Iterator[Listed]:
    """The newest price of each zone and type, and for the region around it the dearest of those: a node may end in any."""
    newest: dict[PriceName, Mapping[str, Any]] = {}
    for row in document["SpotPriceHistory"]:
        if row.get("ProductDescription") in LINUX:
            name = PriceName.parse(f"aws/{row['AvailabilityZone']}/{row['InstanceType']}/spot")
            if name not in newest or _time(row["Timestamp"]) > _time(newest[name]["Timestamp"]):
                newest[name] = row
    zones = [_spot(name, row, rates) for name, row in newest.items()]
    yield from zones
    for around in {row.name.around for row in zones} - {None}:
        dearest = max((row for row in zones if row.name.around == around), key=lambda row: row.price)
        assert around is not None
        yield Listed(around, dearest.price, dearest.as_of, f"{dearest.source}, the dearest zone ({dearest.name.region})")


def _spot(name: PriceName, row: Mapping[str, Any], rates: Rates) -> Listed:
    price, _ = rates.price(decimal(row["SpotPrice"]), "USD")
    return Listed(name, price, _day(row["Timestamp"]), "AWS spot price history")


def _plain(product: Mapping[str, Any], attributes: Mapping[str, Any]) -> bool:
    compute = str(product.get("productFamily", "")).startswith("Compute Instance") and "instanceType" in attributes
    on_demand = attributes.get("marketoption", "OnDemand") == "OnDemand" and attributes.get("operation", "RunInstances") == "RunInstances"
    return compute and on_demand and all(attributes.get(name) == value for name, value in PLAIN.items())


def _hourly(terms: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Currency and amount of every dimension by the hour that costs something."""
    for term in terms.values():
        for dimension in term.get("priceDimensions", {}).values():
            if str(dimension.get("unit", "")).lower() in ("hrs", "hours"):
                amounts = ((currency, decimal(text)) for currency, text in dimension["pricePerUnit"].items())
                yield from ((currency, amount) for currency, amount in amounts if amount > 0)


def _memory(attributes: Mapping[str, Any]) -> Memory | None:
    found = re.fullmatch(r"([0-9,.]+) ?GiB", str(attributes.get("memory", "")))
    return Memory.parse(f"{found[1].replace(',', '')}GiB") if found else None


def _day(text: str) -> date:
    return _time(text).date()


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
