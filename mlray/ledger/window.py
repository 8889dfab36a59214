"""Window: one period of a budget. Lengths are counted from 1970-01-01 00:00 UTC; days, weeks and months begin where people live."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from mlray.units import Duration, Period

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """One period of a budget: from `start` (included) to `end` (excluded), in UTC."""

    start: datetime
    end: datetime

    @property
    def hours(self) -> float:
        """What has passed on a clock that is never moved: a day in which it is put forward has 23."""
        return (self.end - self.start) / HOUR


def window(every: Period | Duration, now: datetime, time_zone: str = "UTC") -> Window:
    """The window `now` falls into; every machine agrees on it.

    `day`, `week` (from Monday) and `month` begin at local midnight: a day is 23 or 25 hours long where clocks change, and where
    that happens at midnight it begins with the first instant that bears its date. `hour` begins where local clocks show a whole one.
    """
    word = getattr(every, "word", "")
    if word in ("", "hour"):
        return _counted(timedelta(seconds=every.seconds), now, _minutes(now, time_zone) if word else timedelta())
    known = _LAST.get((word, time_zone))
    if known is None or not known.start <= now < known.end:
        known = _LAST[word, time_zone] = _dated(_FIRST[word], now, ZoneInfo(time_zone))
    return known


# The window that was asked for last, by word and zone: most questions are about the same one, and finding it takes 30 microseconds.
_LAST: dict[tuple[str, str], Window] = {}


def before(every: Period | Duration, this: Window, time_zone: str = "UTC") -> Window:
    """The window that ended where `this` begins."""
    return window(every, this.start - timedelta(microseconds=1), time_zone)


def wall(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """The instant, in UTC, at which clocks of the zone show `minute` minutes after midnight of `day`.

    Where they show it twice the first time counts; where they leave it out, as much later as they were put forward (RFC 5545, 3.3.5).
    """
    return datetime.combine(day + timedelta(days=minute // 1440), time(minute % 1440 // 60, minute % 60), zone).astimezone(UTC)


def _counted(length: timedelta, now: datetime, shift: timedelta) -> Window:
    start = EPOCH + (now - EPOCH + shift) // length * length - shift
    return Window(start, start + length)


def _minutes(now: datetime, time_zone: str) -> timedelta:
    """What the zone's standard time is off by a part of an hour. Summer time of half an hour leaves hours where they were."""
    local = now.astimezone(ZoneInfo(time_zone))
    return ((local.utcoffset() or timedelta()) - (local.dst() or timedelta())) % HOUR


def _dated(first: Callable[[date, int], date], now: datetime, zone: ZoneInfo) -> Window:
    today = now.astimezone(zone).date()
    edges = [wall(first(today, step), 0, zone) for step in (-1, 0, 1, 2)]
    # Clocks that are put back over midnight show yesterday's date again: the window that began goes on.
    return next(Window(start, end) for start, end in pairwise(edges) if start <= now < end)


def _month(day: date, step: int) -> date:
    months = day.year * 12 + day.month - 1 + step
    return date(months // 12, months % 12 + 1, 1)


# The first day of the window that a day lies in, and of those `step` windows later.
_FIRST: dict[str, Callable[[date, int], date]] = {
    "day": lambda day, step: day + step * DAY,
    "week": lambda day, step: day - timedelta(days=day.weekday()) + timedelta(weeks=step),
    "month": _month,
}
