"""IngestJob: sources, joins, checks, protection and splits of one dataset."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from mlray.ingest.blend import Duplicates, Join, Late
from mlray.policy.job import NAME, JobSpec
from mlray.spec import Spec
from mlray.units import Memory

ColumnType = Literal["int", "float", "text", "timestamp", "bool"]


class Source(Spec):
    """One table to read: where it is, and its columns with their types. Columns not named are not read."""

    uri: str = Field(description="file path, file:// or object-store URI, or package://NAME/path in an installed package.")
    format: Literal["csv"] = Field("csv", description="Format of the file; .gz and .zip are unpacked.")
    nulls: tuple[str, ...] = Field(("",), description="Texts that mean a missing value.")
    columns: dict[str, ColumnType] = Field(min_length=1, description="Columns wanted, with their types.")


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
    main: str | tuple[str, ...] = Field(
        min_length=1, description="The source whose rows become the dataset's, or several with the same columns, one after the other."
    )
    joins: tuple[Join, ...] = Field((), description="What is added to each row, in order.")
    duplicates: Duplicates | None = Field(None, description="What happens to rows of the main sources that repeat a key.")
    late: Late | None = Field(None, description="What happens to rows older than what the version before had seen.")
    checks: tuple[Check, ...] = Field((), description="Rules on each row of the main source and what it was joined to, in order.")
    label: Label | None = Field(None, description="What is to be predicted.")
    outcome: tuple[str, ...] = Field(
        (), description="Columns known only after the fact: checks and label may use them; they are never sealed."
    )
    protect: dict[str, Protection] = Field({}, description="Sensitive columns, and what happens to them.")
    split: TimeSplit = Field(description="How rows are divided into train, validation and test.")
    rows_per_part: int = Field(65536, ge=1024, description="Rows of the main source read, refined and sealed as one block.")
    compression: Literal["zstd", "lz4", "snappy", "none"] = Field("zstd", description="How the columns of sealed parts are packed.")
    broadcast_most: Memory = Field(
        Memory.parse("1GiB"), description="A joined source up to this size goes to every node whole; a larger one is shuffled."
    )

    @property
    def mains(self) -> tuple[str, ...]:
        """The sources whose rows become the dataset's, in order."""
        return (self.main,) if isinstance(self.main, str) else self.main

    @property
    def columns(self) -> dict[str, ColumnType]:
        """Every column a row has after the joins, with its type, in order."""
        found = dict(self.sources[self.mains[0]].columns)
        for join in self.joins:
            found |= {here: self.sources[join.source].columns[there] for there, here in join.taken.items()}
        return found

    @model_validator(mode="after")
    def _sources_are_there(self) -> IngestJob:
        if missing := [name for name in self.mains if name not in self.sources]:
            raise ValueError(f"main {', '.join(missing)!r} is none of the sources {', '.join(self.sources)}")
        known = dict(self.sources[self.mains[0]].columns)
        for name in self.mains[1:]:
            if dict(self.sources[name].columns) != known:
                raise ValueError(f"main: {name} and {self.mains[0]} are put together, so they must declare the same columns and types")
        if len(set(self.mains)) < len(self.mains):
            raise ValueError(f"main: {', '.join(self.mains)}: a source is named twice")
        for join in self.joins:
            if join.source not in self.sources or join.source in self.mains:
                raise ValueError(f"joins: {join.source!r} is no other source; sources are {', '.join(self.sources)}")
            there = dict(self.sources[join.source].columns)
            _refuse([c for c in (*join.whole_key, *join.taken) if c not in there], f"joins: {join.source} does not declare")
            _refuse([c for c in join.whole_key.values() if c not in known], f"joins: {join.source} is joined before there is")
            _refuse([c for c in join.taken.values() if c in known], f"joins: {join.source} would overwrite")
            _refuse([a for a, b in join.whole_key.items() if there[a] != known[b]], f"joins: {join.source} has another type of")
            if join.as_of:
                _refuse(
                    [c for c in (join.as_of.there,) if there[c] != "timestamp"], f"joins: as_of of {join.source} needs a timestamp, not"
                )
            known |= {here: there[name] for name, here in join.taken.items()}
        return self

    @model_validator(mode="after")
    def _blend_fits(self) -> IngestJob:
        own = dict(self.sources[self.mains[0]].columns)
        if self.duplicates:
            _refuse([c for c in self.duplicates.key if c not in own], "duplicates: the main source does not declare")
        if self.late and own.get(self.late.column) != "timestamp":
            raise ValueError(f"late.column {self.late.column!r} is no timestamp column of the main source")
        return self

    @model_validator(mode="after")
    def _columns_are_there(self) -> IngestJob:
        known = self.columns
        used = [c.column for c in self.checks] + [*self.outcome, *self.protect, self.split.column]
        used += [self.label.column] if self.label else []
        missing = sorted({c for c in used if c not in known})
        if missing:
            raise ValueError(f"no source brings the column {', '.join(missing)}; there are {', '.join(sorted(known))}")
        _refuse([c for c in known if c.startswith("_")], "names that begin with _ are mlray's own:")
        return self

    @model_validator(mode="after")
    def _columns_fit(self) -> IngestJob:
        known, numbers = self.columns, {"int", "float"}
        if known[self.split.column] != "timestamp":
            raise ValueError(f"split.column {self.split.column!r} is {known[self.split.column]}, not timestamp")
        if self.split.column in (*self.outcome, *self.protect):
            raise ValueError(f"split.column {self.split.column!r} is an outcome or protected, so it would not be kept as it is")
        if self.label and (known[self.label.column] not in numbers or self.label.name in known):
            raise ValueError(f"label: {self.label.name!r} must be a new name, and {self.label.column!r} a number")
        _refuse([c.column for c in self.checks if isinstance(c, Between) and known[c.column] not in numbers], "checks: not a number:")
        _refuse([c.column for c in self.checks if isinstance(c, OneOf) and known[c.column] != "text"], "checks: not text:")
        _refuse([c for c in self.protect if c in self.outcome], "outcome columns are never sealed, so need no protection:")
        return self


def _refuse(columns: list[str], why: str) -> None:
    if columns:
        raise ValueError(f"{why} {', '.join(columns)}")
