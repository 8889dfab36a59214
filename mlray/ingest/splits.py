"""How a job may divide its rows into splits, and what must not be on both sides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from mlray.ingest.rules import OnWhole, Share, fraction
from mlray.spec import Spec

# `report` holds the account of a version, `pieces` the reports of its blocks, by which the next version shares its parts.
REJECTED, REPORT, PIECES, ALL = "rejected", "report", "pieces", "all"
RESERVED = (REJECTED, REPORT, PIECES)  # splits that hold no rows to learn from
OPEN, CLOSED = "open-", "window-"  # how splits begin that hold windows of a stream: sums of open ones, and those that ended
SPLIT = re.compile(r"[a-z][a-z0-9-]{0,30}")
SHARES: Mapping[str, Share] = {"train": 0.8, "validation": 0.1, "test": 0.1}


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

    @property
    def uses(self) -> tuple[str, ...]:
        return (self.column,)


class Shared(Spec):
    """Splits by shares of a hash that is the same on every machine and in every version."""

    shares: dict[str, Share] = Field(dict(SHARES), min_length=1, description="Share of the rows by split, 80% or 0.8; together 1.")
    seed: int = Field(0, ge=0, description="Another number divides the rows in another way.")

    @field_validator("shares")
    @classmethod
    def _whole(cls, shares: dict[str, Share]) -> dict[str, Share]:
        if wrong := [name for name in shares if not SPLIT.fullmatch(name) or name in RESERVED or name.startswith((OPEN, CLOSED))]:
            raise ValueError(
                f"{wrong[0]!r} cannot name a split: use a-z, 0-9 and -, and neither of {', '.join(RESERVED)}, open-... and window-..."
            )
        together = sum(fraction(share) for share in shares.values())
        if min(fraction(share) for share in shares.values()) <= 0 or abs(together - 1) > 1e-9:
            raise ValueError(f"shares must be above 0 and together 1, not {together:g}")
        return shares


class GroupSplit(Shared):
    """All rows of one key on one side, so that no person, machine or shop is learned from and tested on."""

    by: Literal["group"] = Field(description="Always `group`.")
    key: str | tuple[str, ...] = Field(min_length=1, description="The column or columns of the key; a row without one is rejected.")

    @property
    def uses(self) -> tuple[str, ...]:
        return (self.key,) if isinstance(self.key, str) else self.key


class HashSplit(Shared):
    """Rows by chance, the same chance each time; `stratify` keeps the shares exact for each value of a column."""

    by: Literal["hash"] = Field(description="Always `hash`.")
    stratify: str | None = Field(None, description="Column (or the label) whose every value is divided by the shares, within each block.")

    @property
    def uses(self) -> tuple[str, ...]:
        return (self.stratify,) if self.stratify else ()


class Folds(Spec):
    """Folds of equal size for cross-validation: splits fold-0, fold-1 and on; `test` sets a share apart first."""

    by: Literal["folds"] = Field(description="Always `folds`.")
    count: int = Field(ge=2, le=100, description="How many folds.")
    key: str | tuple[str, ...] = Field((), description="Rows of one key stay in one fold; without it, each row for itself.")
    test: Share = Field(0.0, description="Share kept apart as split test, 20% or 0.2.")
    seed: int = Field(0, ge=0, description="Another number divides the rows in another way.")

    @field_validator("test")
    @classmethod
    def _share(cls, test: Share) -> Share:
        if not 0 <= fraction(test) < 1:
            raise ValueError("write a share from 0 to below 1, like 20%")
        return test

    @property
    def uses(self) -> tuple[str, ...]:
        return (self.key,) if isinstance(self.key, str) else self.key


class NoSplit(Spec):
    """Every row in one split, `all`."""

    by: Literal["none"] = Field(description="Always `none`.")

    @property
    def uses(self) -> tuple[str, ...]:
        return ()


Split = Annotated[TimeSplit | GroupSplit | HashSplit | Folds | NoSplit, Field(discriminator="by")]


class Leakage(Spec):
    """What must not be on both sides of a split, and what must not give the label away; judged before the commit."""

    key: tuple[str, ...] = Field((), description="Columns whose values, together, may be in one split only.")
    features: tuple[str, ...] = Field((), description="Columns of `near` and `predicts`; each one sealed as it is if none is named.")
    near: bool = Field(False, description="Rows that are nearly equal (numbers to 3 digits, text without case and spaces) count as leaks.")
    most: Share = Field(0.0, description="Largest share of a split's keys or rows that may also be in another.")
    predicts: float = Field(
        0.98, gt=0.5, le=1, description="Largest AUC (numbers) or share of the label's information (text) one column may reach alone."
    )
    on_leak: OnWhole = Field(OnWhole.REFUSE, description="What happens when there is a leak.")


def aside(split: str) -> bool:
    """Whether a split holds no rows to learn from."""
    return split in RESERVED or split.startswith(OPEN)


def key_of(split: Split) -> tuple[str, ...]:
    """The columns whose rows stay together, or without whose value a row belongs to no split."""
    return () if isinstance(split, HashSplit) else split.uses


def misfit(split: Split, types: Mapping[str, str]) -> str:
    """Why a split cannot use the columns it names; "" when it can."""
    kinds = {column: types[column] for column in split.uses if column in types}
    if isinstance(split, TimeSplit) and kinds.get(split.column, "timestamp") != "timestamp":
        return f"split.column {split.column!r} is {kinds[split.column]}, not timestamp"
    loose = [column for column, kind in kinds.items() if kind in ("float", "binary")]
    return f"split: {loose[0]!r} is {kinds[loose[0]]}, which is no key" if loose else ""
