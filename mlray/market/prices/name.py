"""PriceName: which price of a table is meant: `aws/us-east-1/m7i.large/spot`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from mlray.units import Price

PATTERN = r"^[a-z0-9-]+/[A-Za-z0-9-]+/[A-Za-z0-9._-]+/(on-demand|spot)$"
EXAMPLE = "aws/us-east-1/m7i.large/spot"


@dataclass(frozen=True, slots=True, order=True)
class PriceName:
    """Cloud, region or zone, machine type, and capacity (`on-demand` or `spot`)."""

    cloud: str
    region: str
    type: str
    capacity: str

    @classmethod
    def parse(cls, text: str) -> PriceName:
        if not re.fullmatch(PATTERN, text.strip()):
            raise ValueError(f"write cloud/region/type/capacity, like {EXAMPLE}")
        return cls(*text.strip().split("/"))

    @property
    def around(self) -> PriceName | None:
        """The same in the region around a zone: us-east-1a is in us-east-1, us-central1-b in us-central1. None of a region."""
        zone = {"aws": r"([a-z-]+-[0-9]+)[a-z]", "gcp": r"([a-z-]+[0-9]+)-[a-z]"}.get(self.cloud)
        found = re.fullmatch(zone, self.region) if zone else None
        return PriceName(self.cloud, found[1], self.type, self.capacity) if found else None

    def __str__(self) -> str:
        return f"{self.cloud}/{self.region}/{self.type}/{self.capacity}"


def _read(value: Any) -> Price | PriceName:
    if isinstance(value, Price | PriceName):
        return value
    if not isinstance(value, str):
        raise ValueError(f"write a price with its unit, like {Price.example}, or where it stands, like {EXAMPLE}")
    return PriceName.parse(value) if "/" in value.removesuffix("/h") else Price.parse(value)


Asked = Annotated[
    Price | PriceName,
    PlainValidator(_read),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "pattern": f"{Price.pattern}|{PATTERN}", "examples": [Price.example, EXAMPLE]}),
]
"""A price, or the name of one in the price table."""
