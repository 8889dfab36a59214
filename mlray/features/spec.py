"""Features: which columns a model sees, and as what."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from mlray.spec import Spec


class Encoding(StrEnum):
    """How a raw column becomes numbers. A missing value stays missing (NaN) in every encoding."""

    NUMBER = "number"
    CATEGORY = "category"
    TIME = "time"


class Features(Spec):
    """Raw columns by encoding, in the order in which the model sees them.

    `number`: the value as float32. `category`: its index among the values seen at fitting; unseen is missing.
    `time`: a timestamp becomes hour of day and day of week, both in UTC. Day of year is left out: under a split by
    time a model meets days it never saw, and learns the calendar instead of the cause.
    """

    number: tuple[str, ...] = Field((), description="Numeric columns, taken as they are.")
    category: tuple[str, ...] = Field((), description="Text columns, encoded by the values seen in training.")
    time: tuple[str, ...] = Field((), description="Timestamps, turned into hour of day and day of week (UTC).")

    @model_validator(mode="after")
    def _once(self) -> Features:
        if not self.columns:
            raise ValueError("name at least one column under number, category or time")
        twice = sorted({name for name in self.columns if self.columns.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is named twice: give each column one encoding")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.number, *self.category, *self.time)
