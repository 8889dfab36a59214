"""Follow, Watermark, Window: how an ingest follows a stream instead of reading it once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from mlray.ingest.splits import CLOSED, OPEN
from mlray.policy.job import NAME
from mlray.spec import Spec
from mlray.units import Duration

MOST_OVERLAP = 1000  # windows that one row may lie in


class Watermark(Spec):
    """The instant behind which no more rows are expected: the newest time seen, less a delay.

    Partitions are told apart, and the one that lags most holds it back, so a backlog that is read unevenly loses nothing.
    """

    column: str = Field(description="The timestamp column that says when something happened.")
    delay: Duration = Field(description="How far behind the newest row of its partition a row may come.")
    idle: Duration = Field(Duration(600), description="A partition that lags further behind the newest no longer holds it back.")
    late: Literal["reject", "keep", "warn"] = Field(
        "reject", description="A row behind the watermark: reject it, keep it, or keep and warn."
    )


class Sum(Spec):
    """Total of a number over a window; missing where no row has one."""

    sum: str = Field(description="The numeric column.")


class Mean(Spec):
    """Mean of a number over a window."""

    mean: str = Field(description="The numeric column.")


class Min(Spec):
    """Smallest number or time of a window."""

    min: str = Field(description="The column.")


class Max(Spec):
    """Largest number or time of a window."""

    max: str = Field(description="The column.")


Aggregate = Literal["count"] | Sum | Mean | Min | Max


class Window(Spec):
    """Features of the rows of each interval and group, emitted once, into the split `window-<name>`, when the interval is over.

    Intervals begin at whole multiples of `slide` since 1970, in UTC: a 10m window that slides by 5m begins at :00, :05, :10.
    """

    name: str = Field(pattern=NAME, description="Its rows are in the split window-<name>.")
    by: tuple[str, ...] = Field((), description="Columns that make a group; none: all rows are one group.")
    size: Duration = Field(description="Length of an interval.")
    slide: Duration | None = Field(None, description="Distance between two starts; without it intervals touch and do not overlap.")
    compute: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], Aggregate] = Field(
        min_length=1, description="Name of the feature -> count, or sum, mean, min or max of a column."
    )

    @property
    def split(self) -> str:
        return f"{CLOSED}{self.name}"

    @property
    def state(self) -> str:
        """The split that carries what is known of intervals not over yet."""
        return f"{OPEN}{self.name}"

    @property
    def size_us(self) -> int:
        return round(self.size.seconds * 1_000_000)

    @property
    def slide_us(self) -> int:
        return round((self.slide or self.size).seconds * 1_000_000)

    @property
    def columns(self) -> dict[str, str]:
        """Column that is computed on -> the first feature that does."""
        taken = [(how, name) for name, how in self.compute.items() if how != "count"]
        return {column: name for how, name in reversed(taken) for column in how.model_dump().values()}

    @model_validator(mode="after")
    def _intervals_are_whole(self) -> Window:
        if self.size_us <= 0 or self.slide_us <= 0:
            raise ValueError("size and slide must be longer than nothing")
        if self.slide_us > self.size_us:
            raise ValueError(f"slide ({self.slide}) is longer than size ({self.size}), so rows between two windows would be in none")
        if self.size_us / self.slide_us > MOST_OVERLAP:
            raise ValueError(f"a row would lie in {self.size_us // self.slide_us:,} windows; write a longer slide")
        if clash := sorted({"window_start", "window_end"} & {*self.by, *self.compute} | set(self.by) & set(self.compute)):
            raise ValueError(f"compute: {', '.join(clash)} is the name of another column of the window")
        return self


class Follow(Spec):
    """Reads a stream in micro-batches; each becomes a version, and its offsets stand in that version's signed manifest."""

    every: Duration = Field(Duration(10), description="Time between the starts of two batches, if the first is over by then.")
    most: int = Field(50_000, ge=1, description="Most records of one batch.")
    start: Literal["earliest", "latest"] = Field("earliest", description="Where a dataset begins that has no version yet.")
    on_gap: Literal["refuse", "skip"] = Field("refuse", description="Records deleted by the stream before they were read: stop, or go on.")
    compact_after: int = Field(100, ge=2, description="Small parts of one split that are merged into large ones.")
    watermark: Watermark | None = Field(None, description="What is late, and when a window is over.")
    windows: tuple[Window, ...] = Field((), description="Features over intervals of time.")

    @model_validator(mode="after")
    def _windows_end(self) -> Follow:
        if self.windows and not self.watermark:
            raise ValueError("windows: write a watermark, which says when a window is over")
        names = [window.name for window in self.windows]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"windows: {', '.join(twice)} is there twice")
        return self


def misfit(follow: Follow, types: Mapping[str, str], sealed: Mapping[str, str], protected: Mapping[str, bool]) -> str:
    """Why windows and watermark cannot be computed on a job's columns; "" when they can.

    `types` are those of the stream itself, `sealed` those that are sealed, and `protected` says of a column whether it is hidden.
    """
    rule = follow.watermark
    if rule and (types.get(rule.column) != "timestamp" or rule.column not in sealed or rule.column in protected):
        return f"watermark.column {rule.column!r} is no timestamp column of the stream that is sealed as it is"
    for window in follow.windows:
        used = {*window.by, *window.columns}
        if missing := sorted(column for column in used if column not in sealed):
            return f"windows: {window.name}: {', '.join(missing)} is not sealed, so there is nothing to compute with"
        if hidden := sorted(column for column in used if protected.get(column)):
            return f"windows: {window.name}: {', '.join(hidden)} is protected, and a window would show it"
        if float_keys := sorted(column for column in window.by if sealed[column] in ("float", "binary")):
            return f"windows: {window.name}: by {', '.join(float_keys)} makes no groups; take a text, a whole number or a time"
        for name, how in window.compute.items():
            if how != "count" and (why := _misfit(how, sealed)):
                return f"windows: {window.name}: {name}: {why}"
    return ""


def _misfit(how: Sum | Mean | Min | Max, sealed: Mapping[str, str]) -> str:
    (column,) = how.model_dump().values()
    numbers = ("int", "float") if isinstance(how, Sum | Mean) else ("int", "float", "timestamp")
    return "" if sealed[column] in numbers else f"{column} is {sealed[column]}, not a number"
