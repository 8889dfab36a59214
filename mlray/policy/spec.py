"""Policy: what the owner asked for. Availability is a promise, budget a bound, and `when_short` says which gives way."""

from __future__ import annotations

import hashlib
from datetime import date
from enum import StrEnum
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from mlray.spec import Misplaced, Spec
from mlray.units import WHOLE, ZERO, Duration, Hours, Money, Percent, Period, Portion, Price, Range

Class = Literal["public", "internal", "personal", "secret"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


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
    clusters: tuple[str, ...] = Field((), description="Names of clusters: their heads and idle nodes.")
    teams: tuple[str, ...] = Field((), description="Values of the tag `team`.")
    tags: dict[str, tuple[str, ...]] = Field({}, description="Values of other tags, by their name.")


class Availability(Spec):
    """How many replicas are promised to be ready, and how many there may be."""

    min_ready: int = Field(1, ge=0, description="Replicas promised to be ready.")
    replicas: Range = Field(Range(1, 4), description="Fewest and most replicas the autoscaler may ask for.")
    target: Percent = Field(Percent(0.99), description="Share of time with at least min_ready replicas ready.")
    survive: int = Field(0, ge=0, description="Replicas that may be lost at once with min_ready still ready.")
    zones: int = Field(1, ge=1, description="Zones to spread over, where there are as many.")
    cold_start: Duration | None = Field(None, description="The longest a first replica may take: where it takes longer, one always runs.")

    @model_validator(mode="after")
    def _bounds(self) -> Availability:
        if self.min_ready + self.survive > self.replicas.high:
            what = f"{self.min_ready} and survive ({self.survive}) are" if self.survive else f"{self.min_ready} is"
            fix = "raise the upper bound, or promise fewer ready replicas"
            raise Misplaced(f"{what} above the most replicas ({self.replicas.high}): {fix}", "min_ready")
        return self


class Shortage(Spec):
    """Which promise gives way when the money is short, by kind of work."""

    ingest: Literal[WhenShort.STOP] = Field(WhenShort.STOP, description="Ingest can only stop.")
    tune: Literal[WhenShort.STOP] = Field(WhenShort.STOP, description="A search stops and keeps its best.")
    serve: WhenShort = Field(WhenShort.KEEP_FLOOR, description="Serving keeps its floor, or stops.")


class Limit(Spec):
    """A part of the budget that some of the work may spend at most. Work that all named fields fit counts against it."""

    stage: Stage | None = Field(None, description="Only this kind of work.")
    job: str | None = Field(None, description="Only jobs and deployments with this name, or pattern.")
    team: str | None = Field(None, description="Only work tagged with this team, or pattern.")
    tags: dict[str, str] = Field({}, description="Only work with these tags.")
    most: Portion = Field(description="The most it may spend in a window: a share of the amount, or dollars.")

    @model_validator(mode="after")
    def _something(self) -> Limit:
        if not (self.stage or self.job or self.team or self.tags):
            raise Misplaced("a limit on all work is the amount itself: name a stage, job, team or tags", "most")
        return self


class Alerts(Spec):
    """When people are told of the budget, each once in a window."""

    at: tuple[Percent, ...] = Field((Percent(0.8), Percent(1.0)), description="Shares of the amount that are spent.")
    forecast: bool = Field(True, description="Also when the amount will be passed before the window ends, as things go.")


class Budget(Spec):
    """Dollars for each window of time, and how the work shares them."""

    amount: Money = Field(description="The most that is spent in one window.")
    every: Period = Field(description="The window: a length such as 1d, counted from 1970-01-01 00:00 UTC, or hour, day, week, month.")
    time_zone: str = Field("UTC", description="Where hours, days, weeks and months begin, such as Europe/Berlin.")
    stages: dict[Stage, Portion] = Field({}, description="The most a stage may spend; others may spend all.")
    limits: tuple[Limit, ...] = Field((), description="The most that some of the work may spend.")
    rate: Price | None = Field(None, description="The most that is spent in an hour, such as $5/h.")
    alerts: Alerts = Field(Alerts(), description="When people are told.")
    when_short: Shortage = Field(Shortage(), description="What gives way when it runs out.")
    carry_over: Percent = Field(
        Percent(0.0), description="The part that is added of what the window before left; nothing of one that spent nothing."
    )
    grace: Duration = Field(Duration(0), description="Running work goes on this long after the money is gone.")

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            return str(ZoneInfo(name))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("write a time zone by its name, like UTC or Europe/Berlin") from None

    @model_validator(mode="after")
    def _positive(self) -> Budget:
        if self.amount <= ZERO:
            raise Misplaced(f"{self.amount} pays nothing: write what may be spent", "amount")
        if self.every.seconds <= 0:
            raise Misplaced("a window is longer than 0s", "every")
        return self

    def share(self, stage: str) -> Portion:
        """The most of the amount a stage may spend; a stage that is not listed may spend all of it."""
        return next((share for name, share in self.stages.items() if name == stage), WHOLE)


class SpotTolerance(Spec):
    """How far work may stand on nodes that can be taken away."""

    share: Percent = Field(Percent(1.0), description="The most of a deployment's replicas on spot.")
    on_demand: int = Field(0, ge=0, description="Replicas of a deployment that are always on demand.")
    zones: tuple[str, ...] = Field((), description="Zones in which spot may be bought, or patterns; empty: all.")
    notices: bool = Field(True, description="Replace a node when its loss is announced rather than when it is gone.")
    rebuy: Duration = Field(Duration(300), description="A zone that took a node away is left alone this long.")


class Commitment(Spec):
    """Capacity that is paid for whether it is used or not, such as reserved instances: it is used first, at no further cost."""

    node_type: str = Field(description="Node type of the cluster file, or pattern.")
    nodes: int = Field(ge=1, description="How many nodes are committed.")
    until: date | None = Field(None, description="The last day it is paid for.")


class Window(Spec):
    """A time in which other bounds hold, such as nights or holidays. The first window that holds now counts."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="What it is called in reasons.")
    days: tuple[Day, ...] = Field((), description="Days of the week on which it begins; empty: any.")
    hours: Hours | None = Field(None, description="Part of the day, such as 22:00-06:00; left out: all of it.")
    dates: tuple[date, ...] = Field((), description="Days on which it holds whatever day of the week they are, such as holidays.")
    min_ready: int | None = Field(None, ge=0, description="Replicas promised to be ready meanwhile.")
    replicas: Range | None = Field(None, description="Fewest and most replicas meanwhile; 0..0 is scale to zero.")
    target: Percent | None = Field(None, description="Share of time meanwhile with at least min_ready replicas ready.")

    @model_validator(mode="after")
    def _says_something(self) -> Window:
        if self.min_ready is None and self.replicas is None and self.target is None:
            raise Misplaced("changes nothing: give min_ready, replicas or target", "name")
        return self


class Clusters(Spec):
    """When a cluster is taken down by itself, its head included."""

    idle_stop: Duration | None = Field(None, description="Taken down when no work ran on it this long.")
    time_to_live: Duration | None = Field(None, description="Taken down this long after it was started, whatever runs.")


class Data(Spec):
    """How long data are kept, and who may read them where."""

    keep: Duration | None = Field(None, description="The longest that datasets made by its jobs are kept.")
    highest_class: Class | None = Field(None, description="Versions with columns of a higher class are not read by its jobs.")
    regions: tuple[str, ...] = Field((), description="Zones in which its jobs may read data, or patterns such as eu-*; empty: anywhere.")


class Policy(Spec):
    """One file of policies/: what it governs, what it promises, what it may spend."""

    kind: Literal["policy"] = Field(description="Always `policy`.")
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Name of the policy.")
    governs: Governs = Field(description="The jobs, deployments, clusters, teams and tags it applies to.")
    availability: Availability = Field(Availability(), description="What serving promises.")
    budget: Budget = Field(description="What may be spent.")
    spot: SpotTolerance = Field(SpotTolerance(), description="How far work may stand on nodes that can be taken away.")
    commitments: tuple[Commitment, ...] = Field((), description="Capacity that is paid for already.")
    windows: tuple[Window, ...] = Field((), description="Times in which other bounds hold; hours are those of the budget's time zone.")
    clusters: Clusters = Field(Clusters(), description="When its clusters are taken down by themselves.")
    data: Data = Field(Data(), description="How long data are kept, and who may read them where.")
    approvals: int = Field(0, ge=0, le=5, description="People beside the one who applies it that must approve a change.")
    approvers: tuple[str, ...] = Field((), description="Who may approve; empty: anybody else.")

    @model_validator(mode="after")
    def _each_window(self) -> Policy:
        for i, window in enumerate(self.windows):
            range = window.replicas or self.availability.replicas
            least = self.availability.min_ready if window.min_ready is None else window.min_ready
            if least + self.availability.survive > range.high and range.high > 0:
                raise Misplaced(f"{window.name} allows {range.high} replicas, and {least} are promised", "windows", i)
        return self

    @model_validator(mode="after")
    def _enough_approvers(self) -> Policy:
        if self.approvers and len(set(self.approvers)) < self.approvals:
            raise Misplaced(f"{self.approvals} approvals are asked of {len(set(self.approvers))} approvers", "approvals")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the declaration, 64 hex characters: under which wording something was decided."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
