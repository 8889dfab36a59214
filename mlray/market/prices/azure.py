"""Azure: pages of the Retail Prices API (`https://prices.azure.com/api/retail/prices`), which needs no credentials.

Format: https://learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices. A page says since when each
price holds but not when it was asked: its day comes with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from mlray.market.prices.form import Rates, decimal
from mlray.market.prices.name import PriceName
from mlray.market.prices.table import Listed


def listed(document: Mapping[str, Any], rates: Rates, as_of: date) -> Iterator[Listed]:
    """Pay-as-you-go and spot prices of virtual machines without a Windows licence. The API tells no sizes."""
    for item in document["Items"]:
        if not _machine(item):
            continue
        capacity = "spot" if str(item["skuName"]).endswith(" Spot") else "on-demand"
        price, how = rates.price(decimal(item["retailPrice"]), item["currencyCode"])
        name = PriceName.parse(f"azure/{item['armRegionName']}/{item['armSkuName']}/{capacity}")
        yield Listed(name, price, as_of, f"Azure Retail Prices API{how}")


def _machine(item: Mapping[str, Any]) -> bool:
    """One hour of a Linux machine for everybody: not a reservation, a Windows licence, Low Priority, a tier or a Cloud Service."""
    product, sku = str(item.get("productName", "")), str(item.get("skuName", ""))
    plain = item.get("type") == "Consumption" and item.get("unitOfMeasure") == "1 Hour" and item.get("serviceName") == "Virtual Machines"
    known = bool(item.get("armSkuName")) and bool(item.get("armRegionName")) and decimal(item.get("retailPrice", 0)) > 0
    other = "Windows" in product or "Cloud Services" in product or "CloudServices" in product or sku.endswith("Low Priority")
    return plain and known and not other and not decimal(item.get("tierMinimumUnits", 0))
