"""Compare: two replays of one market and one load, and what the second policy does to dollars, nines and people."""

from __future__ import annotations

from dataclasses import dataclass

from mlray.simulate.report import Kept, Report
from mlray.units import Money


@dataclass(frozen=True, slots=True)
class Change:
    """One deployment under the second policy, less the first. `nines` is None where either was never short."""

    deployment: str
    available: float | None
    nines: float | None
    good: float | None
    replica_hours: float
    interruptions: int
    cold_starts: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The second policy, less the first: below zero is cheaper. `share` is of what the first one spent (None: nothing)."""

    first: str
    second: str
    dollars: Money
    share: float | None
    overspent: Money
    serving: tuple[Change, ...]


def compare(first: Report, second: Report) -> Comparison:
    """Deployments of both, by name; one that only one of them governs is left out."""
    others = {kept.deployment: kept for kept in second.serving}
    dollars = second.spent - first.spent
    return Comparison(
        first.policy,
        second.policy,
        dollars,
        dollars / first.spent if first.spent else None,
        second.overspent - first.overspent,
        tuple(_change(kept, others[kept.deployment]) for kept in first.serving if kept.deployment in others),
    )


def _change(a: Kept, b: Kept) -> Change:
    return Change(
        a.deployment,
        _less(b.available, a.available),
        _less(b.nines, a.nines),
        _less(b.good, a.good),
        b.replica_hours - a.replica_hours,
        b.interruptions - a.interruptions,
        b.cold_starts - a.cold_starts,
    )


def _less(b: float | None, a: float | None) -> float | None:
    return None if a is None or b is None else b - a
