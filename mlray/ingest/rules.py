"""The rules a job may declare: some judge each row, the others a whole version before it is committed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from mlray.spec import Spec
from mlray.units import Duration, Percent

NUMBERS = ("int", "float")
Share = float | Percent


class OnFail(StrEnum):
    """What a failed check does: keep the row aside, stop the whole ingest, or only count."""

    REJECT = "reject"
    REFUSE = "refuse"
    WARN = "warn"


class OnWhole(StrEnum):
    """What a failed rule on a whole version does: no version is made, or it is made and the report says so."""

    REFUSE = "refuse"
    WARN = "warn"


class RowRule(Spec):
    """Judges each row by one column."""

    column: str = Field(description="The column.")
    reason: str = Field(description="What a failing row is called in the report.")
    on_fail: OnFail = Field(OnFail.REJECT, description="What happens to it.")

    @property
    def uses(self) -> tuple[str, ...]:
        return (self.column,)


class NotNull(RowRule):
    """The column has a value."""

    rule: Literal["not_null"] = Field(description="Always `not_null`.")


class Between(RowRule):
    """The column's value, where present, lies in a closed range of numbers or moments; NaN lies in none."""

    rule: Literal["between"] = Field(description="Always `between`.")
    low: float | datetime | date | None = Field(None, description="Smallest value allowed; a day from its first instant (UTC).")
    high: float | datetime | date | None = Field(None, description="Largest value allowed; a day to its last instant (UTC).")

    @model_validator(mode="after")
    def _bounded(self) -> Between:
        if self.low is None and self.high is None:
            raise ValueError("write low, high, or both")
        if len({isinstance(bound, float) for bound in self.bounds}) > 1:
            raise ValueError("low and high must both be numbers or both be moments")
        return self

    @property
    def bounds(self) -> tuple[float | date, ...]:
        return tuple(bound for bound in (self.low, self.high) if bound is not None)


class OneOf(RowRule):
    """The column's value, where present, is one of a set."""

    rule: Literal["one_of"] = Field(description="Always `one_of`.")
    values: tuple[str | int, ...] = Field(min_length=1, description="The values allowed: texts, or whole numbers.")


class Matches(RowRule):
    """The column's text, where present, matches a regular expression from its first character to its last."""

    rule: Literal["matches"] = Field(description="Always `matches`.")
    pattern: str = Field(description="The expression (RE2: no look-around, no back references).")

    @field_validator("pattern")
    @classmethod
    def _reads(cls, pattern: str) -> str:
        import pyarrow as pa
        import pyarrow.compute as pc

        try:
            pc.match_substring_regex(pa.array([""]), pattern)
        except pa.ArrowInvalid as wrong:
            raise ValueError(f"{pattern!r} is no RE2 expression") from wrong
        return pattern


class WholeRule(Spec):
    """Judges the rows that passed, all together, once every block was read."""

    on_fail: OnWhole = Field(OnWhole.REFUSE, description="What happens when the version does not hold it.")

    @property
    def uses(self) -> tuple[str, ...]:
        return ()


class NullShare(WholeRule):
    """At most a share of the column is missing."""

    rule: Literal["null_share"] = Field(description="Always `null_share`.")
    column: str = Field(description="The column.")
    most: Share = Field(description="The largest share allowed, 5% or 0.05.")

    @property
    def uses(self) -> tuple[str, ...]:
        return (self.column,)


class Unique(WholeRule):
    """No two rows hold the same values in these columns. A row with a missing value or NaN among them equals none."""

    rule: Literal["unique"] = Field(description="Always `unique`.")
    columns: tuple[str, ...] = Field(min_length=1, description="The columns that together name a row.")

    @property
    def uses(self) -> tuple[str, ...]:
        return self.columns


class RowCount(WholeRule):
    """The version holds a number of rows within bounds, rejected ones not counted."""

    rule: Literal["row_count"] = Field(description="Always `row_count`.")
    low: int = Field(1, ge=0, description="Fewest rows allowed.")
    high: int | None = Field(None, description="Most rows allowed.")


class Fresh(WholeRule):
    """The newest value of a timestamp column is not older than a length of time."""

    rule: Literal["fresh"] = Field(description="Always `fresh`.")
    column: str = Field(description="The timestamp column.")
    within: Duration = Field(description="The largest age allowed.")

    @property
    def uses(self) -> tuple[str, ...]:
        return (self.column,)


class Drift(WholeRule):
    """The column is distributed about as it was in the version before; the first version of a dataset passes."""

    rule: Literal["drift"] = Field(description="Always `drift`.")
    column: str = Field(description="The column.")
    most: float = Field(gt=0, description="The largest distance allowed.")
    measure: Literal["psi", "ks", "js"] = Field(
        "psi", description="Population stability index, Kolmogorov-Smirnov distance, or Jensen-Shannon distance."
    )

    @property
    def uses(self) -> tuple[str, ...]:
        return (self.column,)


RowCheck = NotNull | Between | OneOf | Matches
WholeCheck = NullShare | Unique | RowCount | Fresh | Drift
Check = Annotated[RowCheck | WholeCheck, Field(discriminator="rule")]


def by_row(checks: tuple[Check, ...]) -> tuple[RowCheck, ...]:
    return tuple(check for check in checks if isinstance(check, RowRule))


def by_version(checks: tuple[Check, ...]) -> tuple[WholeCheck, ...]:
    return tuple(check for check in checks if isinstance(check, WholeRule))


def misfit(check: Check, types: Mapping[str, str]) -> str:
    """Why a rule cannot judge the columns it names; "" when it can. Columns that do not exist are somebody else's business."""
    kind = types.get(check.uses[0], "") if check.uses else ""
    match check:
        case Between() if kind in NUMBERS and not all(isinstance(bound, float) for bound in check.bounds):
            return f"low and high of {check.column} must be numbers: it is {kind}"
        case Between() if kind == "timestamp" and any(isinstance(bound, float) for bound in check.bounds):
            return f"low and high of {check.column} must be moments, like 2013-09-01: it is a timestamp"
        case Between() if kind not in (*NUMBERS, "timestamp"):
            return f"neither a number nor a timestamp: {check.column}"
        case OneOf() if kind not in ("text", "int"):
            return f"neither text nor whole numbers: {check.column}"
        case OneOf() if any(isinstance(value, str) != (kind == "text") for value in check.values):
            return f"values of {check.column} must be {'texts' if kind == 'text' else 'whole numbers'}: it is {kind}"
        case Matches() if kind != "text":
            return f"not text: {check.column}"
        case Fresh() if kind != "timestamp":
            return f"not a timestamp: {check.column}"
    return ""


def fraction(share: Share) -> float:
    """5% and 0.05 are the same share."""
    return share.fraction if isinstance(share, Percent) else share
