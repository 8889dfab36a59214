"""How several sources become one table, as people declare it: joins by key and by time, rows that repeat a key, late rows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mlray.spec import Spec
from mlray.units import Duration


class AsOf(Spec):
    """Joins to the row there that is nearest in time, among those with equal keys. A row without a time matches nothing."""

    here: str = Field(description="The timestamp column here.")
    there: str = Field(description="The timestamp column of the joined source.")
    within: Duration | None = Field(None, description="How far apart the two times may lie; any distance when left out.")
    direction: Literal["backward", "forward", "nearest"] = Field(
        "backward", description="The last row there at or before the time here, the first at or after it, or the nearer of both."
    )


class Join(Spec):
    """Adds columns of another source to each row, by equal keys, by time, or by both; rows without a match get missing values.

    A join never changes the number of rows: when keys repeat in the joined source, `repeats` says what happens.
    """

    source: str = Field(description="Name of the source to join.")
    on: tuple[str, ...] | dict[str, str] = Field((), description="Key columns; name there -> name here where they differ.")
    as_of: AsOf | None = Field(None, description="Two timestamp columns: take the row there that is nearest in time.")
    take: tuple[str, ...] | dict[str, str] = Field(min_length=1, description="Columns to add; name there -> name here where they differ.")
    repeats: Literal["refuse", "first"] = Field(
        "refuse", description="Keys (with the time of `as_of`) that repeat there: stop the ingest, or take the first."
    )

    @property
    def keys(self) -> dict[str, str]:
        """Name there -> name here."""
        return _renamed(self.on)

    @property
    def taken(self) -> dict[str, str]:
        return _renamed(self.take)

    @property
    def whole_key(self) -> dict[str, str]:
        """The keys and the time: what may not repeat there."""
        return self.keys | ({self.as_of.there: self.as_of.here} if self.as_of else {})

    @model_validator(mode="after")
    def _by_something(self) -> Join:
        if not self.on and not self.as_of:
            raise ValueError(f"joins: {self.source} needs `on`, `as_of`, or both")
        if self.as_of and (self.as_of.there in self.keys or self.as_of.here in self.keys.values()):
            raise ValueError(f"joins: {self.source} has a column both in `on` and in `as_of`")
        return self


class Duplicates(Spec):
    """Rows that repeat a key anywhere in the main sources. A row with a missing key repeats nothing."""

    key: tuple[str, ...] = Field(min_length=1, description="Columns of the main source that name a row.")
    keep: Literal["first", "last", "refuse"] = Field(
        "first", description="Which of them is kept, in the order of the sources; the others are rejected. `refuse` stops the ingest."
    )


class Late(Spec):
    """Rows older than what the version before this one had seen already, less `behind`."""

    column: str = Field(description="The timestamp column of the main source.")
    behind: Duration = Field(Duration(0.0), description="How much older than the newest row of the version before a row may be.")
    do: Literal["reject", "keep", "warn"] = Field("reject", description="Reject late rows, keep them, or keep and count them.")


def _renamed(names: tuple[str, ...] | dict[str, str]) -> dict[str, str]:
    return names if isinstance(names, dict) else {name: name for name in names}
