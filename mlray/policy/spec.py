"""Policy: what the owner asked for. Availability is a promise, budget a bound, and `when_short` says which gives way."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from mlray.spec import Spec
from mlray.units import ZERO, Duration, Money, Percent, Range


class Stage(StrEnum):
    """The three kinds of work that spend from one budget."""

    INGEST = "ingest"
    TUNE = "tune"
    SERVE = "serve"


class WhenShort(StrEnum):
    """What happens to a kind of work when its budget runs out."""

    STOP = "stop"
    KEEP_FLOOR = "keep-floor"


class Governs(Spec):
    """What a policy applies to; shell patterns (`flights-*`) are allowed. An empty policy governs nothing."""

    jobs: tuple[str, ...] = Field((), description="Names of ingest and tune jobs.")
    deployments: tuple[str, ...] = Field((), description="Names of deployments.")
    teams: tuple[str, ...] = Field((), description="Values of the tag `team`.")


class Availability(Spec):
    """How many replicas are promised to be ready, and how many there may be."""

    min_ready: int = Field(1, ge=0, description="Replicas promised to be ready.")
    replicas: Range = Field(Range(1, 4), description="Fewest and most replicas the autoscaler may ask for.")
    target: Percent = Field(Percent(0.99), description="Share of time with at least min_ready replicas ready.")

    @model_validator(mode="after")
    def _bounds(self) -> Availability:
        if self.min_ready > self.replicas.high:
            raise ValueError(
                f"min_ready ({self.min_ready}) is above the most replicas ({self.replicas.high}): "
                "raise the upper bound, or promise fewer ready replicas"
            )
        return self


class Shortage(Spec):
    """Which promise gives way when the money is short, by kind of work."""

    ingest: Literal[WhenShort.STOP] = Field(WhenShort.STOP, description="Ingest can only stop.")
    tune: Literal[WhenShort.STOP] = Field(WhenShort.STOP, description="A search stops and keeps its best.")
    serve: WhenShort = Field(WhenShort.KEEP_FLOOR, description="Serving keeps its floor, or stops.")


class Budget(Spec):
    """Dollars for each window of time, counted from 1970-01-01 00:00 UTC, and how stages share them."""

    amount: Money = Field(description="The most that is spent in one window.")
    every: Duration = Field(description="The length of a window, such as 1d.")
    stages: dict[Stage, Percent] = Field({}, description="The most of the amount a stage may spend; others may spend all.")
    when_short: Shortage = Field(Shortage(), description="What gives way when it runs out.")

    @model_validator(mode="after")
    def _positive(self) -> Budget:
        if self.amount <= ZERO:
            raise ValueError(f"amount ({self.amount}) must be above $0.00")
        if self.every.seconds <= 0:
            raise ValueError("every must be longer than 0s")
        return self

    def share(self, stage: str) -> Percent:
        """The most of the amount a stage may spend; a stage that is not listed may spend all of it."""
        return next((share for name, share in self.stages.items() if name == stage), Percent(1.0))


class Policy(Spec):
    """One file of policies/: what it governs, what it promises, what it may spend."""

    kind: Literal["policy"] = Field(description="Always `policy`.")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Name of the policy.")
    governs: Governs = Field(description="The jobs, deployments and teams it applies to.")
    availability: Availability = Field(Availability(), description="What serving promises.")
    budget: Budget = Field(description="What may be spent.")

    @property
    def digest(self) -> str:
        """SHA-256 of the declaration, 64 hex characters: under which wording something was decided."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
