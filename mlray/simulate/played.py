"""Replay: what became of a scenario that was played through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlray.simulate.book import Line
from mlray.simulate.scenario import Scenario
from mlray.simulate.searching import Outcome
from mlray.simulate.spending import WindowSpent
from mlray.simulate.track import Decision, Track
from mlray.simulate.world import Rate


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """What became of a scenario: each deployment's and search's way, every decision, and what was booked. `rates` is what nodes cost
    an hour, by tick, deployment or run and capacity type: its integral is what `booked` sums to."""

    scenario: Scenario
    tracks: Mapping[str, Track]
    searches: tuple[Outcome, ...]
    decisions: tuple[Decision, ...]
    rates: tuple[Rate, ...]
    booked: tuple[Line, ...]
    windows: tuple[WindowSpent, ...]
