"""Google Cloud: pages of the Cloud Billing catalogue (`cloudbilling.googleapis.com/v1/services/6F81-5844-456A/skus`).

The catalogue lists cores, memory and GPUs by family and region rather than machines, so a machine's price is the sum over
its parts; which parts it has is taken from the price table. A free API key is needed (`...skus?key=...`).
Format: https://cloud.google.com/billing/v1/how-tos/catalog-api
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from mlray.market.prices.form import Rates, decimal
from mlray.market.prices.name import PriceName
from mlray.market.prices.table import Listed

CORE_OR_RAM = re.compile(r"(?:Spot Preemptible )?([A-Z][A-Z0-9]+) (?:Predefined )?Instance (Core|Ram) running in .*")
GPU = re.compile(r"Nvidia (.+) GPU (?:attached to Spot Preemptible VMs )?running in .*")
GPUS = {"Tesla A100": "A100", "Tesla A100 80GB": "A100-80GB", "L4": "L4", "Tesla T4": "T4", "Tesla V100": "V100", "H100 80GB": "H100"}
CAPACITY = {"OnDemand": "on-demand", "Preemptible": "spot"}
Part = tuple[str, str, str]  # region, capacity, and what it is: "N2 Core", "N2 Ram", "L4"


def listed(documents: Iterable[Mapping[str, Any]], shapes: Iterable[Listed], rates: Rates, as_of: date) -> Iterator[Listed]:
    """Every machine type of `shapes` in every region whose parts the catalogue has, all of its pages together."""
    parts = {part: price for document in documents for sku in document["skus"] for part, price in _parts(sku)}
    kinds = {shape.name.type: shape for shape in shapes if shape.cpus and shape.memory}
    for region, capacity in sorted({(region, capacity) for region, capacity, _ in parts}):
        for kind, shape in sorted(kinds.items()):
            needed = [(count, parts.get((region, capacity, part))) for part, count in _needed(kind, shape)]
            known = [(count, price) for count, price in needed if price is not None]
            if len(known) == len(needed):
                amount = sum((count * price[1] for count, price in known), Decimal(0))
                dollars, how = rates.price(amount, known[0][1][0])
                name = PriceName.parse(f"gcp/{region}/{kind}/{capacity}")
                yield replace(shape, name=name, price=dollars, as_of=as_of, source=f"Cloud Billing catalogue{how}")


def _needed(kind: str, shape: Listed) -> Iterator[tuple[str, Decimal]]:
    assert shape.cpus and shape.memory
    family = kind.split("-")[0].upper()
    yield f"{family} Core", decimal(shape.cpus)
    yield f"{family} Ram", Decimal(shape.memory.bytes) / 2**30
    if shape.gpus:
        yield shape.gpu, Decimal(shape.gpus)


def _parts(sku: Mapping[str, Any]) -> Iterator[tuple[Part, tuple[str, Decimal]]]:
    capacity = CAPACITY.get(sku["category"]["usageType"])
    what = _what(str(sku["description"]))
    if not capacity or not what or not sku.get("pricingInfo"):
        return
    rates = sku["pricingInfo"][-1]["pricingExpression"]["tieredRates"]
    unit = next(rate["unitPrice"] for rate in rates if not rate.get("startUsageAmount"))
    amount = decimal(unit.get("units", 0)) + decimal(unit.get("nanos", 0)) / 10**9
    if amount > 0:
        yield from (((region, capacity, what), (unit["currencyCode"], amount)) for region in sku["serviceRegions"])


def _what(description: str) -> str:
    if found := CORE_OR_RAM.fullmatch(description):
        return f"{found[1]} {found[2]}"
    found = GPU.fullmatch(description)
    return GPUS.get(found[1], "") if found else ""
