"""IngestJob: sources, joins, checks, protection and splits of one dataset."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from mlray.policy.job import NAME, JobSpec
from mlray.spec import Spec

ColumnType = Literal["int", "float", "text", "timestamp", "bool"]


class Source(Spec):
    """One table to read: where it is, and its columns with their types. Columns not named are not read."""

    uri: str = Field(description="file path, file:// or object-store URI, or package://NAME/path in an installed package.")
    format: Literal["csv"] = Field("csv", description="Format of the file; .gz and .zip are unpacked.")
    nulls: tuple[str, ...] = Field(("",), description="Texts that mean a missing value.")
    columns: dict[str, ColumnType] = Field(min_length=1, description="Columns wanted, with their types.")


class Join(Spec):
    """Adds columns of a small source to each row by equal keys; rows without a match get missing values."""

    source: str = Field(description="Name of the source to join.")
    on: tuple[str, ...] = Field(min_length=1, description="Key columns, of the same name on both sides.")
    take: dict[str, str] = Field(min_length=1, description="Columns to add: name there -> name here.")


class OnFail(StrEnum):
    """What a failed check does: keep the row aside, stop the whole ingest, or only count."""

    REJECT = "reject"
    REFUSE = "refuse"
    WARN = "warn"


class NotNull(Spec):
    """The column has a value."""

    rule: Literal["not_null"] = Field(description="Always `not_null`.")
    column: str = Field(description="The column.")
    reason: str = Field(description="What a failing row is called in the report.")
    on_fail: OnFail = Field(OnFail.REJECT, description="What happens to it.")


class Between(Spec):
    """The column's value, where present, lies in a closed range."""

    rule: Literal["between"] = Field(description="Always `between`.")
    column: str = Field(description="The column.")
    low: float = Field(description="Smallest value allowed.")
    high: float = Field(description="Largest value allowed.")
    reason: str = Field(description="What a failing row is called in the report.")
    on_fail: OnFail = Field(OnFail.REJECT, description="What happens to it.")


class OneOf(Spec):
    """The column's value, where present, is one of a set."""

    rule: Literal["one_of"] = Field(description="Always `one_of`.")
    column: str = Field(description="The column.")
    values: tuple[str, ...] = Field(min_length=1, description="The values allowed.")
    reason: str = Field(description="What a failing row is called in the report.")
    on_fail: OnFail = Field(OnFail.REJECT, description="What happens to it.")


Check = Annotated[NotNull | Between | OneOf, Field(discriminator="rule")]


class Protection(StrEnum):
    """What happens to a sensitive column before it is sealed."""

    PSEUDONYMISE = "pseudonymise"
    MASK = "mask"
    DROP = "drop"


class Label(Spec):
    """What is to be predicted: whether a number is above a bound."""

    name: str = Field(description="Name of the new column: 1 above the bound, else 0.")
    column: str = Field(description="The numeric column it is made from.")
    above: float = Field(description="The bound.")


class TimeSplit(Spec):
    """Train before, validation between, test from: by time, so that nothing later teaches anything earlier."""

    by: Literal["time"] = Field(description="Always `time`.")
    column: str = Field(description="The timestamp column.")
    validation_from: date = Field(description="First day (UTC) of the validation period.")
    test_from: date = Field(description="First day (UTC) of the test period.")

    @model_validator(mode="after")
    def _order(self) -> TimeSplit:
        if self.validation_from >= self.test_from:
            raise ValueError(f"validation_from ({self.validation_from}) must be before test_from ({self.test_from})")
        return self


class IngestJob(JobSpec):
    """Raw rows to one sealed dataset version."""

    kind: Literal["ingest"] = Field(description="Always `ingest`.")
    dataset: str = Field(pattern=NAME, description="Name of the dataset.")
    sources: dict[str, Source] = Field(min_length=1, description="The tables to read, by name.")
    main: str = Field(description="The source whose rows become the dataset's; the others are joined to it.")
    joins: tuple[Join, ...] = Field((), description="What is added to each row, in order.")
    checks: tuple[Check, ...] = Field((), description="Rules on each row of the main source and what it was joined to, in order.")
    label: Label | None = Field(None, description="What is to be predicted.")
    outcome: tuple[str, ...] = Field(
        (), description="Columns known only after the fact: checks and label may use them; they are never sealed."
    )
    protect: dict[str, Protection] = Field({}, description="Sensitive columns, and what happens to them.")
    split: TimeSplit = Field(description="How rows are divided into train, validation and test.")
    rows_per_part: int = Field(65536, ge=1024, description="Rows in one sealed part, at most.")

    @model_validator(mode="after")
    def _names(self) -> IngestJob:
        if self.main not in self.sources:
            raise ValueError(f"main {self.main!r} is none of the sources {', '.join(self.sources)}")
        known = set(self.sources[self.main].columns)
        for join in self.joins:
            if join.source not in self.sources or join.source == self.main:
                raise ValueError(f"joins: {join.source!r} is no other source; sources are {', '.join(self.sources)}")
            there = self.sources[join.source].columns
            lost = [c for c in join.on if c not in known or c not in there] + [c for c in join.take if c not in there]
            if lost:
                raise ValueError(f"joins: {join.source} has no column {', '.join(lost)}, or the main source lacks that key")
            known |= set(join.take.values())
        used = [c.column for c in self.checks] + list(self.outcome) + list(self.protect) + [self.split.column]
        used += [self.label.column] if self.label else []
        missing = sorted({c for c in used if c not in known})
        if missing:
            raise ValueError(f"no source brings the column {', '.join(missing)}; there are {', '.join(sorted(known))}")
        if self.split.column in self.outcome:
            raise ValueError(f"split.column {self.split.column!r} is in outcome, so it would not be kept")
        return self
