"""Features: which columns a model sees, and as what."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from mlray.spec import Spec


class Encoding(StrEnum):
    """How a raw column becomes numbers. A missing value stays missing (NaN) in every encoding."""

    NUMBER = "number"
    CATEGORY = "category"
    TIME = "time"


class Features(Spec):
    """Raw columns by encoding, in the order in which the model sees them.

    `number`: the value as float32. `category`: its index among the values seen at fitting; unseen is missing.
    `time`: a timestamp becomes hour of day, day of week and day of year.
    """

    number: tuple[str, ...] = Field((), description="Numeric columns, taken as they are.")
    category: tuple[str, ...] = Field((), description="Text columns, encoded by the values seen in training.")
    time: tuple[str, ...] = Field((), description="Timestamps, turned into hour, weekday and day of the year (UTC).")

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.number, *self.category, *self.time)
