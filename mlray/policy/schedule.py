"""Schedule: which of a policy's windows holds now, what it promises meanwhile, and when that changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from mlray.ledger.window import DAY, wall
from mlray.policy.spec import Availability, Policy, Window
from mlray.units import Range

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES = 24 * 60
# Every day of the week, and one more for hours that end on the day after: the pattern of days repeats from there.
AHEAD = 8


@dataclass(frozen=True, slots=True)
class InForce:
    """What is promised now, by which window ("" for none), and when another one takes over (None: never)."""

    availability: Availability
    window: str = ""
    until: datetime | None = None

    @property
    def to_zero(self) -> bool:
        """Scaled to zero: no replica is wanted, whatever the load."""
        return self.availability.replicas.high == 0


def in_force(policy: Policy, now: datetime) -> InForce:
    """The first window of the policy that holds at `now` takes the place of the availability's own fields.

    Hours are the wall clock's in the budget's time zone, and belong to the day on which they begin: `fri` with `22:00-06:00` ends on
    Saturday. Where clocks are changed the window is an hour shorter or longer.
    """
    if not policy.windows:
        return InForce(policy.availability)
    key = (policy.windows, policy.availability, policy.budget.time_zone)
    known = _LAST.get(key)
    if known is not None and known[0] <= now and (known[1].until is None or now < known[1].until):
        return known[1]
    if len(_LAST) >= MOST_KNOWN:
        _LAST.clear()
    found = _in_force(policy, now)
    _LAST[key] = (now, found)
    return found


# What held at an instant holds until it changes. The answers are the same without it: they only cost a hundred microseconds each.
_LAST: dict[tuple[tuple[Window, ...], Availability, str], tuple[datetime, InForce]] = {}
MOST_KNOWN = 10_000


def _in_force(policy: Policy, now: datetime) -> InForce:
    zone = ZoneInfo(policy.budget.time_zone)
    holds = _holds(policy.windows, now, zone)
    until = next((edge for edge in _edges(policy.windows, now, zone) if _holds(policy.windows, edge, zone) != holds), None)
    if holds is None:
        return InForce(policy.availability, until=until)
    return InForce(promised(policy, holds), policy.windows[holds].name, until)


def promised(policy: Policy, place: int) -> Availability:
    """The availability while the window at this place holds. Scaled to zero, nothing is promised ready unless the window says so."""
    window, usual = policy.windows[place], policy.availability
    replicas = window.replicas or usual.replicas
    least = usual.min_ready if window.min_ready is None else window.min_ready
    changed = {"replicas": replicas, "min_ready": least, "target": window.target or usual.target}
    if replicas.high == 0:
        changed |= {"min_ready": 0, "survive": 0, "replicas": Range(0, 0)}
    return usual.model_copy(update=changed)


def _holds(windows: tuple[Window, ...], at: datetime, zone: ZoneInfo) -> int | None:
    today = at.astimezone(zone).date()
    for place, window in enumerate(windows):
        # Clocks that are put back over midnight show yesterday's date for an hour, so tomorrow may have begun.
        spans = (_span(window, today + step * DAY, zone) for step in (-1, 0, 1) if _on(window, today + step * DAY))
        if any(start <= at < end for start, end in spans):
            return place
    return None


def _edges(windows: tuple[Window, ...], now: datetime, zone: ZoneInfo) -> list[datetime]:
    """Instants after now at which a window begins or ends: those of a week, after which days repeat, and of all dates."""
    today = now.astimezone(zone).date()
    week = [today + step * DAY for step in range(-1, AHEAD + 1)]
    edges = {edge for w in windows for day in (*week, *w.dates) if _on(w, day) for edge in _span(w, day, zone)}
    return sorted(edge for edge in edges if edge > now)


def _on(window: Window, day: date) -> bool:
    return day in window.dates or WEEKDAYS[day.weekday()] in window.days or not (window.days or window.dates)


def _span(window: Window, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    begin, end = (window.hours.start, window.hours.end) if window.hours else (0, MINUTES)
    return wall(day, begin, zone), wall(day, end if end > begin else end + MINUTES, zone)
