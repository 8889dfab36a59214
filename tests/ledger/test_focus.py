"""The FOCUS export against the published columns of version 1.2: names, types, null or not, allowed values."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from mlray.ledger.entry import Cause, Charge, Usage
from mlray.ledger.focus import BY, COLUMNS, VERSION, focus
from mlray.ledger.receipt import receipt
from mlray.units import Money

# https://focus.finops.org/focus-specification/v1-2: every mandatory column with its type and whether it may be null.
PUBLISHED = {
    "BilledCost": ("decimal", False),
    "BillingAccountId": ("string", False),
    "BillingAccountName": ("string", True),
    "BillingCurrency": ("currency", False),
    "BillingPeriodEnd": ("datetime", False),
    "BillingPeriodStart": ("datetime", False),
    "ChargeCategory": ("string", False),
    "ChargeClass": ("string", True),
    "ChargeDescription": ("string", True),
    "ChargePeriodEnd": ("datetime", False),
    "ChargePeriodStart": ("datetime", False),
    "ContractedCost": ("decimal", False),
    "EffectiveCost": ("decimal", False),
    "InvoiceIssuerName": ("string", False),
    "ListCost": ("decimal", False),
    "PricingQuantity": ("decimal", False),  # may be null only for taxes and corrections
    "PricingUnit": ("unit", False),  # so may this
    "ProviderName": ("string", False),
    "PublisherName": ("string", False),
    "ServiceCategory": ("string", False),
    "ServiceName": ("string", False),
}
OPTIONAL = {
    "ChargeFrequency",
    "PricingCategory",
    "ResourceId",
    "ResourceType",
    "ServiceSubcategory",
    "SubAccountId",
    "SubAccountName",
    "Tags",
}
TYPES = {
    "decimal": r"-?\d+(\.\d+)?",
    "datetime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "currency": r"[A-Z]{3}",
    "unit": r"Hours|GiB-Months",
    "string": r".+",
}
ALLOWED = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {"", "Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "PricingCategory": {"Standard", "Dynamic", "Committed", "Other"},
    "ServiceCategory": {
        "AI and Machine Learning", "Analytics", "Business Applications", "Compute", "Databases", "Developer Tools", "Identity",
        "Integration", "Internet of Things", "Management and Governance", "Media", "Migration", "Mobile", "Multicloud", "Networking",
        "Security", "Storage", "Web", "Other",
    },
}  # fmt: skip
PARENTS = {
    "Machine Learning": "AI and Machine Learning",
    "Data Processing": "Analytics",
    "Virtual Machines": "Compute",
    "Other (Storage)": "Storage",
    "Other (Other)": "Other",
}
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def charge(
    stage: str, amount: str, hours: int = 0, listed: str = "", state: str = "running", waste: str = "", capacity: str = "spot"
) -> Charge:
    cause = Cause(stage, f"{stage}-job", "flights", "r1", "t1", "ada", (("team", "travel"), ("tier", "1")))
    stored = state == "storage"
    usage = Usage(
        "" if stored else "spot-2", "" if stored else capacity, 0.0 if stored else 5400.0, 0.5, "n1", state, "prod", 0.25 if stored else 0.0
    )
    at = NOON + timedelta(hours=hours)
    return Charge(f"{stage}{hours}{state}", at, Money.parse(amount), cause, usage, Money.parse(listed) if listed else None, waste)


CHARGES = (
    charge("tune", "$0.10", listed="$0.30"),
    charge("tune", "$0.20", 13),  # the next day
    charge("serve", "$1.123456", capacity="on-demand"),
    charge("ingest", "$0.01"),
    charge("cluster", "$0.50", state="idle", waste="idle"),
    charge("cluster", "$0.05", 1, state="draining"),
    charge("data", "$0.006", state="storage"),
    charge("new", "$0.006", 24 * 10),  # the next month
)


def rows() -> list[dict[str, str]]:
    return list(focus(receipt(CHARGES, BY)))


def test_every_column_is_there_with_its_type_and_allowed_values():
    assert VERSION == "1.2"
    assert set(PUBLISHED) | OPTIONAL == {name for name in COLUMNS if not name.startswith("x_")}
    for row in rows():
        assert tuple(row) == COLUMNS
        for name, (kind, may_be_null) in PUBLISHED.items():
            assert (may_be_null and row[name] == "") or re.fullmatch(TYPES[kind], row[name]), (name, row[name])
        assert all(row[name] in values for name, values in ALLOWED.items())
        assert PARENTS[row["ServiceSubcategory"]] == row["ServiceCategory"]


def test_periods_hold_their_charges():
    for row in rows():
        assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["ChargePeriodEnd"] <= row["BillingPeriodEnd"]
    tune = [row for row in rows() if row["x_Stage"] == "tune"]
    assert [row["ChargePeriodStart"] for row in tune] == ["2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"]
    assert {row["BillingPeriodStart"] for row in rows()} == {"2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"}


def test_the_costs_sum_to_the_ledgers_and_say_what_was_saved():
    assert sum(Decimal(row["BilledCost"]) for row in rows()) * 10**6 == sum(c.amount.micros for c in CHARGES)
    first = next(row for row in rows() if row["x_Stage"] == "tune")
    assert (first["BilledCost"], first["ListCost"], first["PricingQuantity"], first["PricingUnit"]) == ("0.1", "0.3", "0.75", "Hours")
    assert (first["PricingCategory"], json.loads(first["Tags"])) == ("Dynamic", {"team": "travel", "tier": "1"})
    unlisted = next(row for row in rows() if row["x_Stage"] == "serve")
    assert (unlisted["ListCost"], unlisted["PricingCategory"]) == (unlisted["BilledCost"], "Standard")


def test_storage_and_waste_say_what_they_are():
    stored = next(row for row in rows() if row["x_Stage"] == "data")
    assert (stored["PricingQuantity"], stored["PricingUnit"], stored["ServiceCategory"]) == ("0.25", "GiB-Months", "Storage")
    idle = next(row for row in rows() if row["x_Waste"] == "idle")
    assert idle["ChargeDescription"] == "cluster cluster-job: idle spot spot-2 (idle)"
