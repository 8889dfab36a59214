"""Bounds inside a budget: whom a limit is on, and what is left of whichever bound is the tightest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import inf
from typing import Protocol

from mlray.ledger.entry import Cause, Tags
from mlray.units import ZERO, Money, Portion


class Limiting(Protocol):
    """What a balance needs to know of a limit: the work that all named fields fit may spend `most`."""

    @property
    def stage(self) -> str | None: ...
    @property
    def job(self) -> str | None: ...
    @property
    def team(self) -> str | None: ...
    @property
    def tags(self) -> Mapping[str, str]: ...
    @property
    def most(self) -> Portion: ...


@dataclass(frozen=True, slots=True)
class Scope:
    """The work that a limit is on. Names are the shell's patterns; what is "" or empty says nothing."""

    stage: str = ""
    job: str = ""
    tags: Tags = ()

    @classmethod
    def of(cls, limit: Limiting) -> Scope:
        """A team is the tag of that name."""
        tags = {**limit.tags, **({"team": limit.team} if limit.team else {})}
        return cls(limit.stage or "", limit.job or "", tuple(sorted(tags.items())))

    def covers(self, stage: str, job: str, tags: Tags) -> bool:
        if self.stage and self.stage != stage:
            return False
        known = dict(tags) if self.tags else {}
        return (not self.job or fnmatchcase(job, self.job)) and all(
            name in known and fnmatchcase(known[name], wanted) for name, wanted in self.tags
        )

    def includes(self, cause: Cause) -> bool:
        return self.covers(cause.stage, cause.job, cause.tags)

    def __str__(self) -> str:
        """As sentences name it: `tune, job flights-*, team delays`."""
        named = [self.stage, f"job {self.job}" if self.job else "", *(f"{name} {value}" for name, value in self.tags)]
        return ", ".join(part for part in named if part)


@dataclass(frozen=True, slots=True)
class StageBalance:
    """One stage's part: the most it may spend in the window, what it spent, what its runs hold, dollars an hour of late."""

    stage: str
    most: Money
    spent: Money
    reserved: Money
    burn: Money = ZERO

    @property
    def free(self) -> Money:
        """Below zero by what was spent too much."""
        return self.most - self.spent - self.reserved


@dataclass(frozen=True, slots=True)
class LimitBalance:
    """One limit's part, as StageBalance has it."""

    scope: Scope
    most: Money
    spent: Money
    reserved: Money
    burn: Money = ZERO

    @property
    def free(self) -> Money:
        return self.most - self.spent - self.reserved


@dataclass(frozen=True, slots=True)
class HourBalance:
    """What the hour's rate is: the most that may be spent from this whole hour UTC to the next, and what was."""

    most: Money
    spent: Money

    @property
    def left(self) -> Money:
        return max(ZERO, self.most - self.spent)


@dataclass(frozen=True, slots=True)
class Tightest:
    """The bound that leaves the least: what work may still spend, the most under that bound, and how a sentence names it."""

    left: Money
    most: Money
    bound: str
    free: Money
    burn: Money

    @property
    def gone_hours(self) -> float | None:
        """For how long the money has been gone, had it gone at the present burn; None while some is left.

        The ledger alone answers it, so a governor that begins anew gives no second grace. Nothing burning is no grace at all.
        """
        if self.free > ZERO:
            return None
        return -self.free.micros / self.burn.micros if self.burn > ZERO else inf
