"""Cluster and NodeType: what a Ray cluster file declares, with mlray's prices under `metadata.mlray`.

The file stays one that `ray up` reads as it is: every field is Ray's own, and Ray passes `metadata` through unread.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import ConfigDict, Field, model_validator

from mlray.market.prices.name import Asked, PriceName
from mlray.spec import Misplaced, Spec
from mlray.units import Duration, Percent, Price, StoragePrice

MARKET_LABEL = "ray.io/market-type"
ZONE_LABEL = "ray.io/availability-zone"
NODE_TYPE_LABEL = "mlray.io/node-type"


class Capacity(StrEnum):
    """How a node is bought: kept until we stop it, or cheaper and taken away when the market wants it back."""

    ON_DEMAND = "on-demand"
    SPOT = "spot"


class Interruptions(Spec):
    """How often a node of a type is taken away, and how long its replacement takes."""

    every: Duration = Field(description="Mean time between two interruptions of one node.")
    recovery: Duration = Field(Duration(60), description="From the loss of a node until its replacement is ready.")
    together: Percent = Field(Percent(0.0), description="The part of them that takes every node of the type in a zone at once.")


class Market(Spec):
    """What mlray knows of the cluster beyond what Ray knows."""

    prices: dict[str, Asked] = Field(
        description="Price of one node for an hour, by node type; or where it stands in the price table, as aws/us-east-1/m7i.large/spot."
    )
    interruptions: dict[str, Interruptions] = Field({}, description="How node types go away, by node type.")
    storage: StoragePrice | None = Field(
        None, description="Price of a GiB kept for a month of 730 hours; left out: what is kept is not charged."
    )

    @property
    def known(self) -> dict[str, Price]:
        """By node type, without those that are only named and were not found in a table."""
        return {kind: price for kind, price in self.prices.items() if isinstance(price, Price)}


class Metadata(Spec):
    """Ray's free field; other tools may keep theirs beside ours."""

    model_config = ConfigDict(extra="allow")

    mlray: Market = Field(description="mlray's part: prices and interruptions.")


class NodeType(Spec):
    """One kind of node: its size, its labels, and how many of it there may be."""

    resources: dict[str, int] = Field(description="Logical resources of one node, such as CPU: 2.")
    node_config: dict[str, Any] = Field(description="What the node provider needs to make one.")
    labels: dict[str, str] = Field({}, description="Ray node labels; market type and zone are read from here.")
    min_workers: int = Field(0, ge=0, description="Nodes kept even when idle.")
    max_workers: int = Field(0, ge=0, description="Nodes at most.")
    priority: int = Field(0, description="The autoscaler prefers the higher one.")
    idle_timeout_s: float | None = Field(None, description="Seconds until an idle node is stopped.")

    @model_validator(mode="after")
    def _bounds(self) -> NodeType:
        if self.min_workers > self.max_workers:
            raise ValueError(f"min_workers ({self.min_workers}) is above max_workers ({self.max_workers}): raise max_workers")
        return self

    @property
    def capacity(self) -> Capacity:
        return Capacity(self.labels.get(MARKET_LABEL, Capacity.ON_DEMAND))


class Cluster(Spec):
    """A Ray cluster file. Fields not named here are Ray's and pass through unchanged."""

    model_config = ConfigDict(extra="allow")

    cluster_name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", description="Name of the cluster.")
    provider: dict[str, Any] = Field(description="Ray node provider.")
    available_node_types: dict[str, NodeType] = Field(description="The kinds of nodes, by name.")
    head_node_type: str = Field(description="Which of them is the head.")
    max_workers: int = Field(ge=0, description="Workers at most, over all types.")
    metadata: Metadata = Field(description="Prices for mlray; Ray does not read it.")

    @model_validator(mode="after")
    def _names(self) -> Cluster:
        types = self.available_node_types
        if self.head_node_type not in types:
            raise ValueError(f"head_node_type {self.head_node_type!r} is none of {', '.join(types)}")
        unpriced = [name for name in types if name not in self.metadata.mlray.prices]
        if unpriced:
            raise ValueError(f"metadata.mlray.prices has no price for {', '.join(unpriced)}: add one, like $0.38/h")
        unknown = [n for n in (*self.metadata.mlray.prices, *self.metadata.mlray.interruptions) if n not in types]
        if unknown:
            raise ValueError(f"metadata.mlray names {', '.join(unknown)}, which is no node type of this file")
        return self

    @model_validator(mode="after")
    def _named(self) -> Cluster:
        for name, asked in self.metadata.mlray.prices.items():
            bought = self.available_node_types[name].capacity
            if isinstance(asked, PriceName) and asked.capacity != bought:
                raise Misplaced(f"{asked} is a price of {asked.capacity}, and {name} is {bought}", "metadata", "mlray", "prices", name)
        return self
