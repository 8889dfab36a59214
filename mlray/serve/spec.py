"""ServeJob: a model offered to callers, and the door in front of it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Literal

from pydantic import Field, field_validator, model_validator

from mlray.policy.job import NAME, JobSpec
from mlray.spec import Spec
from mlray.units import Duration, Memory


class Tls(Spec):
    """Certificate and key of the door; without them it speaks HTTP on this machine alone."""

    certificate: str = Field(description="PEM file, relative to this file.")
    key: str = Field(description="PEM file, relative to this file, readable by its owner alone.")


class Door(Spec):
    """Where callers reach the deployment, and how much they may send."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=1, le=65535, description="Port to listen on.")
    tls: Tls | None = Field(None, description="TLS; needed when host is not this machine alone.")
    largest_body: Memory = Field(Memory(4 << 20), description="Larger requests are refused with 413.")
    most_rows: int = Field(10_000, ge=1, description="Requests with more rows are refused with 413.")

    @field_validator("host")
    @classmethod
    def _address(cls, host: str) -> str:
        try:
            return str(ip_address(host))
        except ValueError:
            raise ValueError("write an IP address of the head, like 127.0.0.1 or 0.0.0.0") from None

    @model_validator(mode="after")
    def _private(self) -> Door:
        if self.tls is None and not ip_address(self.host).is_loopback:
            raise ValueError(f"host {self.host} needs tls, or tokens cross the network in the clear: add tls, or listen on 127.0.0.1")
        return self


class Scaling(Spec):
    """How load becomes replicas, inside what the policy allows."""

    target_ongoing: float = Field(2.0, gt=0, description="Requests one replica should have in progress.")
    window: Duration = Field(Duration(10), description="Load is averaged over this long.")
    up_after: Duration = Field(Duration(2), description="High load lasts this long before replicas are added.")
    down_after: Duration = Field(Duration(30), description="Low load lasts this long before replicas are removed.")


class Replica(Spec):
    """What one replica gets."""

    cpus: float = Field(0.5, gt=0, description="CPUs set aside for it.")
    market: Literal["spot", "on-demand", "any"] = Field("any", description="Where it runs.")
    per_node: int | None = Field(None, ge=1, description="Replicas on one node at most; 1 lets the loss of a node take one only.")


class ServeJob(JobSpec):
    """A deployment: one model behind one door, under one policy."""

    kind: Literal["serve"] = Field(description="Always `serve`.")
    deployment: str = Field(pattern=NAME, description="Name of the deployment; callers use it in the URL.")
    model: str = Field(pattern=NAME, description="Name of the model.")
    version: str = Field("latest", description="Digest of the model version, or its first characters.")
    replica: Replica = Field(Replica(), description="What one replica gets.")
    scaling: Scaling = Field(Scaling(), description="How load becomes replicas.")
    door: Door = Field(Door(), description="Where callers come in.")
