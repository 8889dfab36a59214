"""FOCUS: the bill as rows of the FinOps Open Cost and Usage Specification 1.2, https://focus.finops.org/focus-specification/v1-2.

One row for each day (UTC) and everything else the ledger tells apart. Costs are mlray's own metering at the prices of the
cluster file, not a cloud's invoice: billed, effective and contracted cost are the same. Where no list price is known, the list
cost is the billed cost, as the specification asks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from mlray.ledger.receipt import Receipt, Row
from mlray.units import ZERO, Money

VERSION = "1.2"
BY = ("day", "stage", "policy", "job", "run", "owner", "tags", "capacity", "node-type", "node", "state", "cluster", "waste")
# Service, category and subcategory by stage; the words are the specification's.
SERVICES = {
    "ingest": ("Analytics", "Data Processing"),
    "tune": ("AI and Machine Learning", "Machine Learning"),
    "serve": ("AI and Machine Learning", "Machine Learning"),
    "cluster": ("Compute", "Virtual Machines"),
    "data": ("Storage", "Other (Storage)"),
}
OTHER = ("Other", "Other (Other)")
PRICING = {"on-demand": "Standard", "spot": "Dynamic"}
# What is mandatory in 1.2, then what it leaves open and is known here, then our own.
MANDATORY = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost",
    "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName",
    "ServiceCategory", "ServiceName",
)  # fmt: skip
OPTIONAL = (
    "ChargeFrequency",
    "PricingCategory",
    "ResourceId",
    "ResourceType",
    "ServiceSubcategory",
    "SubAccountId",
    "SubAccountName",
    "Tags",
)
OWN = ("x_Capacity", "x_Cluster", "x_Job", "x_Owner", "x_Run", "x_Stage", "x_State", "x_Waste")
COLUMNS = (*sorted((*MANDATORY, *OPTIONAL)), *OWN)


def focus(bill: Receipt) -> Iterator[dict[str, str]]:
    """Rows of a bill by BY, as text by column; "" is the specification's null."""
    assert bill.by == BY
    return (_row(dict(zip(BY, row.group, strict=True)), row) for row in sorted(bill.rows, key=lambda row: row.group))


def _row(of: dict[str, str], row: Row) -> dict[str, str]:
    day = datetime.fromisoformat(of["day"]).replace(tzinfo=UTC)
    month = day.replace(day=1)
    category, subcategory = SERVICES.get(of["stage"], OTHER)
    stored, cost = of["state"] == "storage", _decimal(row.amount)
    tags = dict(json.loads(of["tags"]))
    given = {
        **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost"), cost),
        **dict.fromkeys(("InvoiceIssuerName", "ProviderName", "PublisherName", "BillingAccountId", "BillingAccountName"), "mlray"),
        "ListCost": _decimal(row.amount + (row.savings or ZERO)),
        "BillingCurrency": "USD",
        "BillingPeriodStart": _moment(month),
        "BillingPeriodEnd": _moment((month + timedelta(days=32)).replace(day=1)),
        "ChargePeriodStart": _moment(day),
        "ChargePeriodEnd": _moment(day + timedelta(days=1)),
        "ChargeCategory": "Usage",
        "ChargeDescription": _description(of),
        "ChargeFrequency": "Usage-Based",
        "PricingCategory": PRICING.get(of["capacity"], "Standard" if stored else "Other"),
        "PricingQuantity": f"{Decimal(str(row.amount_of if stored else row.node_seconds / 3600)):f}",
        "PricingUnit": "GiB-Months" if stored else "Hours",
        "ServiceCategory": category,
        "ServiceSubcategory": subcategory,
        "ServiceName": f"mlray {of['stage']}",
        "ResourceId": of["node"],
        "ResourceType": of["node-type"],
        "SubAccountId": of["policy"],
        "SubAccountName": of["policy"],
        "Tags": json.dumps(tags, sort_keys=True) if tags else "",
        **{f"x_{name.capitalize()}": of[name] for name in ("capacity", "cluster", "job", "owner", "run", "stage", "state", "waste")},
    }
    return {name: given.get(name, "") for name in COLUMNS}


def _description(of: dict[str, str]) -> str:
    what = f"{of['state']} {of['capacity']} {of['node-type']}".strip() if of["state"] != "storage" else "storage"
    return " ".join(part for part in (f"{of['stage']} {of['job']}:", what, f"({of['waste']})" if of["waste"] else "") if part)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _decimal(amount: Money) -> str:
    return f"{Decimal(amount.micros) / 10**6:f}"
