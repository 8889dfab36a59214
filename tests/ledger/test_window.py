"""Windows: lengths from 1970, days and weeks and months on the clocks of a zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlray.ledger.window import Window, before, wall, window
from mlray.units import Duration, Period

BERLIN = "Europe/Berlin"
# Clocks change at midnight in Cairo, Beirut and Havana, by half an hour on Lord Howe, and Samoa left out a day.
ZONES = ["UTC", BERLIN, "America/New_York", "Asia/Kolkata", "Africa/Cairo", "America/Havana", "Australia/Lord_Howe", "Pacific/Apia"]
MOMENTS = st.datetimes(min_value=datetime(2010, 1, 1), max_value=datetime(2030, 1, 1), timezones=st.just(UTC))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def of(every: str, now: str, time_zone: str = BERLIN) -> tuple[str, str]:
    found = window(Period.parse(every), utc(now), time_zone)
    return f"{found.start:%Y-%m-%d %H:%M}", f"{found.end:%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    "every, now, start, end",
    [
        ("day", "2026-11-22 12:00", "2026-11-21 23:00", "2026-11-22 23:00"),
        ("day", "2026-03-29 12:00", "2026-03-28 23:00", "2026-03-29 22:00"),  # 23 hours
        ("day", "2026-10-25 12:00", "2026-10-24 22:00", "2026-10-25 23:00"),  # 25 hours
        ("week", "2026-11-22 22:59", "2026-11-15 23:00", "2026-11-22 23:00"),  # a Sunday evening
        ("week", "2026-11-22 23:00", "2026-11-22 23:00", "2026-11-29 23:00"),  # Monday 00:00
        ("month", "2026-12-31 22:59", "2026-11-30 23:00", "2026-12-31 23:00"),
        ("month", "2028-02-29 12:00", "2028-01-31 23:00", "2028-02-29 23:00"),
        ("hour", "2026-11-22 12:59", "2026-11-22 12:00", "2026-11-22 13:00"),
        ("1d", "2026-11-22 23:30", "2026-11-22 00:00", "2026-11-23 00:00"),  # a length is the same everywhere
    ],
)
def test_a_window_in_berlin(every: str, now: str, start: str, end: str):
    assert of(every, now) == (start, end)


def test_hours_begin_where_local_clocks_show_a_whole_one():
    assert of("hour", "2026-11-22 12:10", "Asia/Kolkata") == ("2026-11-22 11:30", "2026-11-22 12:30")


def test_clocks_that_are_put_forward_at_midnight_begin_the_day_an_hour_late():
    found = window(Period.parse("day"), utc("2026-04-24 10:00"), "Africa/Cairo")
    assert (f"{found.start:%H:%M}", found.hours) == ("22:00", 23)
    assert found.start.astimezone(ZoneInfo("Africa/Cairo")).hour == 1


def test_clocks_that_are_put_back_over_midnight_do_not_begin_a_day_twice():
    first = window(Period.parse("day"), utc("2026-11-01 04:30"), "America/Havana")  # 00:30, for the first time
    again = window(Period.parse("day"), utc("2026-11-01 05:30"), "America/Havana")  # 00:30, for the second
    assert first == again and first.hours == 25


@given(MOMENTS, st.sampled_from(["hour", "day", "week", "month", "36h"]), st.sampled_from(ZONES))
def test_windows_follow_one_another_without_a_gap(now: datetime, every: str, time_zone: str):
    this = window(Period.parse(every), now, time_zone)
    assert this.start <= now < this.end
    assert window(Period.parse(every), this.start, time_zone) == this
    assert window(Period.parse(every), this.end - timedelta(microseconds=1), time_zone) == this
    assert window(Period.parse(every), this.end, time_zone).start == this.end
    assert before(Period.parse(every), this, time_zone).end == this.start


@given(MOMENTS, st.sampled_from(["day", "week", "month"]))
def test_calendar_windows_begin_at_midnight_on_the_right_day(now: datetime, every: str):
    start = window(Period.parse(every), now, BERLIN).start.astimezone(ZoneInfo(BERLIN))
    assert (start.hour, start.minute) == (0, 0)
    assert every != "week" or start.weekday() == 0
    assert every != "month" or start.day == 1


@given(st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)), st.integers(1, 10**7))
def test_lengths_are_counted_from_1970(now: datetime, seconds: int):
    found = window(Duration(seconds), now)
    assert found.start <= now < found.end
    assert (found.start.timestamp() % seconds, (found.end - found.start).total_seconds()) == (0, seconds)


def test_the_time_on_the_wall_where_clocks_change():
    assert wall(date(2026, 3, 29), 150, ZoneInfo(BERLIN)) == utc("2026-03-29 01:30")  # 02:30 is left out: 03:30
    assert wall(date(2026, 10, 25), 150, ZoneInfo(BERLIN)) == utc("2026-10-25 00:30")  # 02:30 comes twice: the first
    assert wall(date(2026, 11, 22), 1440, ZoneInfo(BERLIN)) == utc("2026-11-22 23:00")
    assert Window(utc("2026-11-22 00:00"), utc("2026-11-22 01:30")).hours == 1.5
