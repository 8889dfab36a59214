"""Sentences of rooms: why a deployment has the room it has, with the numbers and, where there are several, the policy."""

from __future__ import annotations

from collections.abc import Sequence

from mlray.policy.explain import moment
from mlray.policy.room import Room
from mlray.policy.spec import WhenShort
from mlray.units import ZERO, Money

Rooms = Sequence[Room]


def whose(room: Room | None, rooms: Rooms) -> str:
    return f"policy {room.claim.policy.name}" if room and len(rooms) > 1 else "the policy"


def zero_sentence(rooms: Rooms) -> str:
    zero = next(room for room in rooms if not room.promise.availability.replicas.high)
    if not zero.promise.window:
        return f"no replica is allowed{_by(zero, rooms)}"
    until = f" until {moment(zero.promise.until)}" if zero.promise.until else ""
    return f"window {zero.promise.window}{_by(zero, rooms, 'of')} holds{until}: scaled to zero"


def floor_sentence(low: Room, rooms: Rooms, floor: int) -> str:
    window = f" in window {low.promise.window}" if low.promise.window else ""
    cut = f", cut to {floor} by what the others allow" if floor < low.floor.replicas else ""
    return f"{low.floor.reason}{window}{_by(low, rooms)}{cut}"


def gone_sentence(room: Room, rooms: Rooms) -> str:
    gone, budget = f"no money is left for serve{_terms(room, rooms)} until {_end(room)}", room.claim.policy.budget
    if budget.when_short.serve == WhenShort.STOP:
        return f"{gone}; it may go on for {budget.grace} after it was gone"
    return f"{gone}; when_short: keep-floor holds it"


def stopped_sentence(room: Room, rooms: Rooms, floor: int) -> str:
    why = f"no money is left for serve{_terms(room, rooms)} until {_end(room)}"
    if room.left > ZERO:
        why = f"{room.left} left{_terms(room, rooms)} until {_end(room)} will be gone before the next look"
    return f"{why}; when_short: stop gives up the floor of {floor}"


def pays_sentence(room: Room, rooms: Rooms, hourly: Money) -> str:
    """The dollars that bound the ceiling, with what they pay."""
    rate, hour = room.claim.policy.budget.rate, room.claim.balance.hour if room.claim.balance else None
    if rate is None or room.rated >= room.paid:
        mine = Money(max(0, room.left.micros - room.claim.others.micros))
        return f"{mine} left{_terms(room, rooms)} pays {_count(room.paid)} at {hourly}/h each until {_end(room)}"
    if hour is not None and not room.rated and hour.spent >= hour.most:
        return f"the {rate.per_hour} of this hour are spent{_by(room, rooms)}"
    return f"at most {rate}{_by(room, rooms)} pays {_count(room.rated)} at {hourly}/h each"


def _terms(room: Room, rooms: Rooms) -> str:
    """The limit that is meant, if it is one, and its policy where there are several."""
    if room.found is None or not room.found.bound.startswith("limit"):
        return _by(room, rooms)
    return f" under the {room.found.bound}{_by(room, rooms, 'of')}"


def _by(room: Room, rooms: Rooms, how: str = "under") -> str:
    return f" {how} policy {room.claim.policy.name}" if len(rooms) > 1 else ""


def _end(room: Room) -> str:
    return moment(room.claim.balance.window_end) if room.claim.balance else "its window ends"


def _count(paid: int) -> str:
    return "more than 1000 replicas" if paid > 1000 else f"{paid} replica{'' if paid == 1 else 's'}"
