"""JobSpec: what every kind of job declares: its name, who owns it, under which policy, and the most it may spend."""

from __future__ import annotations

from pydantic import Field

from mlray.spec import Spec
from mlray.units import Duration, Money

NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"


class JobSpec(Spec):
    """The fields that ingest, tune, serve and pipeline jobs share."""

    name: str = Field(pattern=NAME, description="Name of the job; charges are booked under it.")
    owner: str = Field("", description="Who answers for it.")
    tags: dict[str, str] = Field({}, description="Free tags, such as team; spend is shown by them.")
    policy: str = Field(description="The policy file that governs it, relative to this file.")
    budget: Money | None = Field(None, description="The most this job may spend; set aside before it starts.")
    least: Duration = Field(Duration(10), description="Work that cannot be paid for this long is not started.")
