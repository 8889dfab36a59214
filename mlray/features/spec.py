"""Features: which columns a model sees, and as what. Imbalance: how training makes up for a rare answer."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from mlray.spec import Spec

Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Encoding(StrEnum):
    """How a raw column becomes numbers. A missing value stays missing (NaN) in every encoding."""

    NUMBER = "number"
    CATEGORY = "category"
    TIME = "time"


class Components(Spec):
    """Number columns replaced by the directions along which they vary most (principal components), named `pca.1`, `pca.2` ...

    Fitted on training rows: missing values take the column's median, and every column is scaled to mean 0 and variance 1.
    """

    components: int = Field(ge=1, description="How many components take the columns' place.")
    of: tuple[str, ...] = Field(min_length=2, description="Number columns they are made of; the model sees these no more.")

    @model_validator(mode="after")
    def _fewer(self) -> Components:
        if self.components > len(self.of):
            raise ValueError(f"components ({self.components}) is above the {len(self.of)} columns they are made of")
        return self


class Select(Spec):
    """The best features kept, ranked on training rows. Raw columns that none of them is made of are no inputs of the model."""

    most: int = Field(ge=1, description="How many features are kept.")
    by: Literal["mutual_information", "f_test", "variance"] = Field(
        "mutual_information",
        description="What ranks them: information about the label; an F test against it; variance of values scaled to 0..1.",
    )


class Features(Spec):
    """Raw columns by encoding, in the order in which the model sees them.

    `number`: the value as float32. `category`: its index among the values seen at fitting; unseen is missing.
    `time`: a timestamp becomes hour of day and day of week, both in UTC. Day of year is left out: under a split by
    time a model meets days it never saw, and learns the calendar instead of the cause.
    """

    number: tuple[str, ...] = Field((), description="Numeric columns, taken as they are.")
    category: tuple[str, ...] = Field((), description="Text columns, encoded by the values seen in training.")
    time: tuple[str, ...] = Field((), description="Timestamps, turned into hour of day and day of week (UTC).")
    pca: Components | None = Field(None, description="Number columns turned into fewer.")
    select: Select | None = Field(None, description="The best features kept, components among them.")

    @model_validator(mode="after")
    def _once(self) -> Features:
        if not self.columns:
            raise ValueError("name at least one column under number, category or time")
        _refuse_twice(self.columns, "give each column one encoding")
        if self.pca:
            _refuse_twice(self.pca.of, "a component is made of different columns")
            if strange := sorted(set(self.pca.of) - set(self.number)):
                raise ValueError(f"pca is made of {', '.join(strange)}, not named under number: add it there")
        if self.select and self.select.by != "mutual_information" and self.category:
            raise ValueError(f"select by {self.select.by} cannot rank category {self.category[0]!r}: write by: mutual_information")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.number, *self.category, *self.time)


class Imbalance(Spec):
    """How training makes up for an answer that is rare. It changes training rows alone: validation and test stay as they are."""

    weights: Literal["balanced"] | dict[Literal["0", "1"], Weight] | None = Field(
        None, description="Weight of a row by its label: `balanced`, so that both labels weigh the same, or like {0: 1, 1: 5}."
    )
    resample: Literal["over", "under", "smote"] | None = Field(
        None, description="`over` repeats rows of the rare label, `under` drops rows of the common one, `smote` makes new rare ones."
    )
    ratio: float = Field(1.0, gt=0, le=1, description="With resample: rare rows for each common row afterwards.")
    neighbours: int = Field(5, ge=1, description="With smote: near rows of the rare label, one of which a new row is made from.")

    @model_validator(mode="after")
    def _rules(self) -> Imbalance:
        written = self.model_fields_set
        if self.weights is None and self.resample is None:
            raise ValueError("say weights, resample, or both, like weights: balanced")
        if "ratio" in written and self.resample is None:
            raise ValueError(f"ratio ({self.ratio:g}) needs resample: over, under or smote")
        if "neighbours" in written and self.resample != "smote":
            raise ValueError(f"neighbours ({self.neighbours}) needs resample: smote")
        return self


def _refuse_twice(names: tuple[str, ...], fix: str) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{', '.join(twice)} is named twice: {fix}")
