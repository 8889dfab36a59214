"""Small price lists in the forms in which the clouds publish them."""

from __future__ import annotations

from typing import Any


def aws_product(sku: str, type: str, **attributes: str) -> dict[str, Any]:
    own = {
        "servicecode": "AmazonEC2",
        "location": "US East (N. Virginia)",
        "locationType": "AWS Region",
        "instanceType": type,
        "currentGeneration": "Yes",
        "vcpu": "2",
        "memory": "8 GiB",
        "tenancy": "Shared",
        "operatingSystem": "Linux",
        "licenseModel": "No License required",
        "operation": "RunInstances",
        "capacitystatus": "Used",
        "preInstalledSw": "NA",
        "marketoption": "OnDemand",
        "regionCode": "us-east-1",
    }
    return {"sku": sku, "productFamily": "Compute Instance", "attributes": own | attributes}


def aws_term(sku: str, amount: str, currency: str = "USD", unit: str = "Hrs") -> dict[str, Any]:
    rate = f"{sku}.JRTCKXETXF.6YS6EN2CT7"
    dimension = {"rateCode": rate, "beginRange": "0", "endRange": "Inf", "unit": unit, "pricePerUnit": {currency: amount}, "appliesTo": []}
    return {
        f"{sku}.JRTCKXETXF": {
            "offerTermCode": "JRTCKXETXF",
            "sku": sku,
            "effectiveDate": "2026-03-01T00:00:00Z",
            "priceDimensions": {rate: dimension},
            "termAttributes": {},
        }
    }


def aws() -> dict[str, Any]:
    """Two machines we read, and what else a list has of the same type: Windows, dedicated hosts, reserved capacity, disks."""
    products = [
        aws_product("A", "m7i.large"),
        aws_product("B", "p4d.24xlarge", vcpu="96", memory="1,152 GiB", gpu="8", productFamily="Compute Instance"),
        aws_product("C", "m7i.large", operatingSystem="Windows", operation="RunInstances:0002"),
        aws_product("D", "m7i.large", tenancy="Dedicated"),
        aws_product("E", "m7i.large", capacitystatus="UnusedCapacityReservation"),
        {"sku": "F", "productFamily": "Storage", "attributes": {"volumeApiName": "gp3", "regionCode": "us-east-1"}},
    ]
    prices = {"A": "0.1050000000", "B": "21.9576420000", "C": "0.1928000000", "D": "0.1100000000", "E": "0.0000000000", "F": "0.08"}
    return {
        "formatVersion": "v1.0",
        "disclaimer": "This pricing list is for informational purposes only.",
        "offerCode": "AmazonEC2",
        "version": "20260310173000",
        "publicationDate": "2026-03-10T17:30:00Z",
        "products": {product["sku"]: product for product in products},
        "terms": {"OnDemand": {sku: aws_term(sku, amount) for sku, amount in prices.items()}, "Reserved": {}},
    }


def aws_spot() -> dict[str, Any]:
    rows = [
        ("us-east-1a", "0.040300", "2026-03-09T10:00:00+00:00", "Linux/UNIX"),
        ("us-east-1a", "0.041700", "2026-03-10T10:00:00+00:00", "Linux/UNIX"),
        ("us-east-1b", "0.039900", "2026-03-10T12:00:00+00:00", "Linux/UNIX"),
        ("us-east-1b", "0.131900", "2026-03-10T12:00:00+00:00", "Windows"),
    ]
    names = ("AvailabilityZone", "SpotPrice", "Timestamp", "ProductDescription")
    return {"SpotPriceHistory": [dict(zip(names, row, strict=True)) | {"InstanceType": "m7i.large"} for row in rows]}


def azure_item(price: float, **changes: Any) -> dict[str, Any]:
    return {
        "currencyCode": "USD",
        "tierMinimumUnits": 0.0,
        "retailPrice": price,
        "unitPrice": price,
        "armRegionName": "westeurope",
        "location": "EU West",
        "effectiveStartDate": "2023-06-01T00:00:00Z",
        "meterName": "D2s v5",
        "productName": "Virtual Machines Dsv5 Series",
        "skuName": "D2s v5",
        "serviceName": "Virtual Machines",
        "serviceFamily": "Compute",
        "unitOfMeasure": "1 Hour",
        "type": "Consumption",
        "isPrimaryMeterRegion": True,
        "armSkuName": "Standard_D2s_v5",
    } | changes


def azure(items: list[dict[str, Any]] | None = None, following: str | None = None) -> dict[str, Any]:
    items = items or [
        azure_item(0.115),
        azure_item(0.0243, skuName="D2s v5 Spot", meterName="D2s v5 Spot"),
        azure_item(0.023, skuName="D2s v5 Low Priority"),
        azure_item(0.207, productName="Virtual Machines Dsv5 Series Windows"),
        azure_item(595.0, type="Reservation", reservationTerm="1 Year", unitOfMeasure="1 Hour"),
        azure_item(0.2, serviceName="Cloud Services"),
    ]
    return {"BillingCurrency": "USD", "CustomerEntityId": "Default", "Items": items, "NextPageLink": following, "Count": len(items)}


def gcp_sku(description: str, nanos: int, usage: str = "OnDemand", units: str = "0", group: str = "CPU") -> dict[str, Any]:
    unit = {"currencyCode": "USD", "units": units, "nanos": nanos}
    expression = {"usageUnit": "h", "displayQuantity": 1, "tieredRates": [{"startUsageAmount": 0, "unitPrice": unit}]}
    return {
        "name": f"services/6F81-5844-456A/skus/{description}",
        "skuId": "0000-0000-0000",
        "description": description,
        "category": {"serviceDisplayName": "Compute Engine", "resourceFamily": "Compute", "resourceGroup": group, "usageType": usage},
        "serviceRegions": ["us-central1", "us-east1"],
        "pricingInfo": [
            {"summary": "", "pricingExpression": expression, "currencyConversionRate": 1, "effectiveTime": "2026-03-10T12:00:00Z"}
        ],
        "serviceProviderName": "Google",
    }


def gcp(following: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    """Two pages: the parts of n2 and g2, and others whose names look alike."""
    first = [
        gcp_sku("N2 Instance Core running in Americas", 31_611_000),
        gcp_sku("N2 Instance Ram running in Americas", 4_237_000, group="RAM"),
        gcp_sku("N2 Custom Instance Core running in Americas", 33_174_000),
        gcp_sku("N2 Sole Tenancy Instance Ram running in Americas", 4_446_000, group="RAM"),
        gcp_sku("Spot Preemptible N2 Instance Core running in Americas", 9_000_000, "Preemptible"),
        gcp_sku("Commitment v1: N2 Cpu in Americas for 1 Year", 19_915_000, "Commit1Yr"),
    ]
    second = [
        gcp_sku("G2 Instance Core running in Americas", 24_988_000),
        gcp_sku("G2 Instance Ram running in Americas", 2_927_000, group="RAM"),
        gcp_sku("Nvidia L4 GPU running in Americas", 560_040_000, group="GPU"),
    ]
    return {"skus": first, "nextPageToken": following}, {"skus": second, "nextPageToken": ""}
