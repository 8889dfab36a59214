"""Forecast: what will be spent until an instant, from the hours that were, with an interval where there are enough of them.

The method is a bootstrap of days (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 8.6): the time ahead is
cut into stretches of at most a day, and each is played by a stretch of the past that began at the same hour of the day, so
that nights stay nights; where four weeks are known, weekdays play weekdays and weekends weekends. It knows of no work that was
never done before, and of no trend.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from mlray.units import Money

HOUR, DAY = timedelta(hours=1), 24
# Fewer hours than these give a mean rate, and no interval; from these on, weekdays and weekends are told apart.
ENOUGH, FOUR_WEEKS = 72, 28 * DAY
DRAWS = 4000
Hours = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Forecast:
    """What will be spent from now until `until`. Four times in five it is from `low` to `high`; None: too little is known."""

    until: datetime
    expected: Money | None
    low: Money | None
    high: Money | None
    history_hours: int
    method: str


def forecast(hours: Sequence[Money], now: datetime, until: datetime, rng: np.random.Generator) -> Forecast:
    """`hours` is what each whole hour before this one cost, oldest first. What is before the first dollar is no history."""
    known = np.trim_zeros(np.array([amount.micros for amount in hours], dtype=np.float64), "f")
    if not len(known):
        return Forecast(until, None, None, None, 0, "none: nothing was spent in a whole hour yet")
    ahead = max(0.0, (until - now) / HOUR)
    if len(known) < ENOUGH:
        why = f"mean of the last {len(known)} hours; an interval needs {ENOUGH}"
        return Forecast(until, _money(known.mean() * ahead), None, None, len(known), why)
    sums = [_played(known, now, begin, end, len(known) >= FOUR_WEEKS) for begin, end in _stretches(now, until)]
    expected = sum(float(one.mean()) for one in sums)
    drawn = np.sum([_wider(one, len(sums)) * (rng.choice(one, DRAWS) - one.mean()) for one in sums], axis=0) if sums else np.zeros(1)
    low, high = (expected + float(q) for q in np.quantile(drawn, (0.1, 0.9)))
    alike = "of the same kind of day " if len(known) >= FOUR_WEEKS else ""
    why = f"bootstrap of {len(known) / DAY:.1f} days, by hour of the day {alike}".strip()
    return Forecast(until, _money(expected), _money(max(0.0, low)), _money(high), len(known), why)


def _wider(days: Hours, stretches: int) -> float:
    """A sample of few days varies less than days do, and its mean, which every stretch shares, is uncertain, too."""
    count = len(days)
    return math.sqrt((1 + stretches / count) * count / (count - 1)) if count > 1 else 1.0


def _stretches(now: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """From now to the end, cut at each midnight (UTC)."""
    found, begin = [], now
    while begin < until:
        midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        found.append((begin, min(midnight, until)))
        begin = found[-1][1]
    return found


def _played(known: Hours, now: datetime, begin: datetime, end: datetime, weekly: bool) -> Hours:
    """What a stretch would have cost on each day that is known in full, or at least in that part."""
    this = now.replace(minute=0, second=0, microsecond=0)  # the history ends here
    first = begin.replace(minute=0, second=0, microsecond=0)
    weights = [min(end, first + (h + 1) * HOUR) - max(begin, first + h * HOUR) for h in range(math.ceil((end - first) / HOUR))]
    part = np.array([weight / HOUR for weight in weights])
    places = range((first.hour - this.hour + len(known)) % DAY, len(known) - len(part) + 1, DAY)
    same = [p for p in places if not weekly or _weekend(this, p - len(known)) == (first.weekday() >= 5)]
    chosen = same or list(places)
    if not chosen:  # not a day of it is known: as much by the hour as at any other
        return np.array([known.mean() * part.sum()])
    return np.array([part @ known[p : p + len(part)] for p in chosen])


def _weekend(this: datetime, back: int) -> bool:
    return (this + back * HOUR).weekday() >= 5


def _money(micros: float) -> Money:
    return Money(round(micros))
