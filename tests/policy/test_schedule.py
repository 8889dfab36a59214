"""Schedules: nights, weekends and holidays on the clocks of a zone, and when they end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlray.policy.schedule import in_force
from mlray.policy.spec import Policy
from mlray.units import Percent, Range

NIGHTS = {"name": "nights", "hours": "22:00-06:00", "min_ready": 1, "replicas": "1..2"}
WEEKENDS = {"name": "weekends", "days": ["sat", "sun"], "replicas": "0..0"}
HOLIDAYS = {"name": "holidays", "dates": ["2026-12-24", "2026-12-25"], "replicas": "0..1", "min_ready": 0}


def policy(*windows: object, zone: str = "Europe/Berlin") -> Policy:
    return Policy.model_validate(
        {
            "kind": "policy",
            "name": "flights",
            "governs": {"deployments": ["flights"]},
            "availability": {"min_ready": 2, "replicas": "2..6", "target": "99.9%", "survive": 1},
            "budget": {"amount": "$10", "every": "day", "time_zone": zone},
            "windows": list(windows),
        }
    )


def at(text: str, zone: str = "Europe/Berlin", fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def told(found: Policy, text: str) -> tuple[str, str]:
    """The window that holds at a time in Berlin, and until when there."""
    now = in_force(found, at(text))
    return now.window, f"{now.until.astimezone(ZoneInfo('Europe/Berlin')):%a %Y-%m-%d %H:%M}" if now.until else "never"


@pytest.mark.parametrize(
    "now, window, until",
    [
        ("2026-11-24 21:59", "", "Tue 2026-11-24 22:00"),
        ("2026-11-24 22:00", "nights", "Wed 2026-11-25 06:00"),
        ("2026-11-25 05:59", "nights", "Wed 2026-11-25 06:00"),
        ("2026-11-25 06:00", "", "Wed 2026-11-25 22:00"),
    ],
)
def test_hours_may_cross_midnight(now: str, window: str, until: str):
    assert told(policy(NIGHTS), now) == (window, until)


def test_hours_belong_to_the_day_on_which_they_begin():
    fridays = policy({**NIGHTS, "days": ["fri"]})
    assert told(fridays, "2026-11-28 05:00") == ("nights", "Sat 2026-11-28 06:00")  # Saturday morning
    assert told(fridays, "2026-11-27 05:00") == ("", "Fri 2026-11-27 22:00")  # Friday morning


def test_days_in_a_row_are_one_stretch():
    assert told(policy(WEEKENDS), "2026-11-28 00:00") == ("weekends", "Mon 2026-11-30 00:00")
    assert told(policy(WEEKENDS), "2026-11-30 00:00") == ("", "Sat 2026-12-05 00:00")


def test_holidays_hold_on_their_dates_and_are_seen_a_year_ahead():
    assert told(policy(HOLIDAYS), "2026-01-01 12:00") == ("", "Thu 2026-12-24 00:00")
    assert told(policy(HOLIDAYS), "2026-12-24 12:00") == ("holidays", "Sat 2026-12-26 00:00")
    assert told(policy(HOLIDAYS), "2026-12-26 00:00") == ("", "never")


def test_the_first_window_that_holds_counts():
    both = policy(HOLIDAYS, NIGHTS)
    assert told(both, "2026-12-23 23:00") == ("nights", "Thu 2026-12-24 00:00")
    assert told(both, "2026-12-25 23:59") == ("holidays", "Sat 2026-12-26 00:00")
    assert told(both, "2026-12-26 00:00") == ("nights", "Sat 2026-12-26 06:00")


def test_a_window_on_dates_as_well_as_days_holds_on_both():
    free = policy({**WEEKENDS, "dates": ["2026-12-24"]})
    assert [told(free, f"2026-12-{day} 12:00")[0] for day in (23, 24, 25, 26)] == ["", "weekends", "", "weekends"]


def test_a_window_that_always_holds_never_ends():
    assert told(policy({"name": "always", "min_ready": 3}), "2026-11-24 12:00") == ("always", "never")
    assert told(policy(), "2026-11-24 12:00") == ("", "never")


def test_what_a_window_does_not_name_stays():
    night = in_force(policy(NIGHTS), at("2026-11-24 23:00")).availability
    assert (night.min_ready, night.replicas, night.target, night.survive) == (1, Range(1, 2), Percent(0.999), 1)


def test_scaled_to_zero_nothing_is_promised():
    found = in_force(policy(WEEKENDS), at("2026-11-28 12:00"))
    assert found.to_zero and (found.availability.min_ready, found.availability.survive, found.availability.replicas) == (0, 0, Range(0, 0))
    assert not in_force(policy(HOLIDAYS), at("2026-12-24 12:00")).to_zero


@pytest.mark.parametrize("day, hours", [("2026-03-28", 7), ("2026-10-24", 9), ("2026-11-24", 8)])
def test_a_night_in_which_clocks_change_is_an_hour_shorter_or_longer(day: str, hours: int):
    begin = at(f"{day} 22:00")
    until = in_force(policy(NIGHTS), begin).until
    assert until is not None and until - begin == timedelta(hours=hours)


def test_an_hour_that_comes_twice_begins_a_window_once():
    late = policy({"name": "late", "hours": "02:30-04:00", "min_ready": 1})
    assert told(late, "2026-10-25 02:29") == ("", "Sun 2026-10-25 02:30")
    assert in_force(late, at("2026-10-25 02:10", fold=1)).window == "late"
    assert in_force(late, at("2026-10-25 02:30")).until == at("2026-10-25 04:00")


WINDOWS = st.lists(
    st.builds(
        lambda name, days, start, length, dates: {
            "name": name,
            "days": days,
            "hours": f"{start:02d}:00-{(start + length - 1) % 24 + 1:02d}:00",
            "dates": dates,
            "min_ready": 1,
        },
        st.sampled_from(["a", "b", "c"]),
        st.lists(st.sampled_from(["mon", "wed", "sat", "sun"]), unique=True, max_size=2),
        st.integers(0, 23),
        st.integers(1, 23),
        st.lists(st.sampled_from(["2026-03-29", "2026-03-31", "2026-04-20"]), unique=True, max_size=2),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=50, deadline=None)
@given(WINDOWS, st.integers(0, 40 * 24 * 60), st.sampled_from(["Europe/Berlin", "Africa/Cairo", "Asia/Kolkata"]))
def test_nothing_changes_before_until_and_something_does_then(windows: list[object], minutes: int, zone: str):
    found, now = policy(*windows, zone=zone), datetime(2026, 3, 20, tzinfo=UTC) + timedelta(minutes=minutes)
    here = in_force(found, now)
    until = here.until or now + timedelta(days=30)
    for part in (0.0, 0.25, 0.5, 0.75, 0.999):
        assert fresh(found, now + part * (until - now)).window == here.window
    if here.until:
        then = fresh(found, here.until)
        assert (then.availability, then.window) != (here.availability, here.window) or repeated(windows)


def fresh(found: Policy, now: datetime):
    """Asked of an equal policy as though for the first time: later instants first, so that nothing remembered fits."""
    in_force(found, now + timedelta(days=900))
    return in_force(found, now)


def repeated(windows: list[object]) -> bool:
    """Two windows of one name may follow one another."""
    names = [str(dict(w)["name"]) for w in windows]  # type: ignore[call-overload]
    return len(set(names)) < len(names)
