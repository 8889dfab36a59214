"""Allowance: what policies promise and their balances can pay, as the room a deployment has to scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

from mlray.ledger.balance import Balance
from mlray.ledger.entry import Cause
from mlray.policy.claim import Claim
from mlray.policy.floor import Footing
from mlray.policy.room import Room, room
from mlray.policy.room_sentences import floor_sentence, gone_sentence, pays_sentence, stopped_sentence, whose, zero_sentence
from mlray.policy.spec import Policy, SpotTolerance, Stage
from mlray.units import ZERO, Duration, Money, Percent

# How long until the next look, where the caller does not say.
TICK = Duration(5)
# Room that money took away does not come back sooner, within one window. What a replica costs depends on where it finds a node: one
# that is paid on spot and not on demand would else start and stop at every look, and each start costs money for nothing.
REST = timedelta(minutes=10)


class Bound(StrEnum):
    """What bounds a deployment: its policies alone, money that is short, gone, or given up on, or what is not known."""

    OPEN = "open"
    SHORT = "short"
    SPENT = "spent"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Allowance:
    """The room to scale until the next look: `floor..ceiling` replicas, `spot_share` of them on spot at most, and why.

    `on_demand` of them are never on spot. `policy` is the one whose money or promise decides. `lowered` is when money last took room away,
    as ISO text ("": it did not).
    """

    floor: int
    ceiling: int
    spot_share: float
    reason: str
    bound: Bound = Bound.OPEN
    on_demand: int = 0
    policy: str = ""
    lowered: str = ""


def allow(
    policy: Policy,
    balance: Balance | None,
    footing: Footing,
    now: datetime,
    others: Money = ZERO,
    before: Allowance | None = None,
    tick: Duration = TICK,
) -> Allowance:
    """The room a deployment has under one policy, as `allow_under` has it; limits on jobs, teams or tags do not count here."""
    return allow_under((Claim(policy, balance, others),), Cause(Stage.SERVE, "", policy.name), footing, now, before, tick)


def allow_under(
    claims: Sequence[Claim], cause: Cause, footing: Footing, now: datetime, before: Allowance | None = None, tick: Duration = TICK
) -> Allowance:
    """The room a deployment has until a budget renews, under every policy that governs it.

    The floor is the highest that keeps each policy's own promise (its min_ready, target, survive and zones belong together: mixing those
    of two policies would keep a promise that nobody made), the ceiling the lowest that each one's replicas, money and hourly rate allow.
    An unknown price or balance holds the floor and lets nothing grow. Where a policy says `when_short: stop`, the floor is given up
    while the money still pays until the next look, `tick` from now, so that no more than that is ever spent too much. The hourly rate
    bounds growth and never the floor: it would come back within the hour. Raises ValueError without a claim.
    """
    if not claims:
        raise ValueError("a deployment without a policy has no allowance: what nobody pays for does not run")
    terms, footing = _spot(claims), _inside(claims, footing)
    given = max(footing.running, before.ceiling if before else 0)
    rooms = tuple(room(claim, cause, footing, terms, now, tick, given) for claim in claims)
    low = max(rooms, key=lambda one: one.floor.replicas)
    return _rested(_strictest(_Rooms(rooms, low, _most(rooms, low), footing, terms), before), claims, before, now)


@dataclass(frozen=True, slots=True)
class _Rooms:
    """What all policies give: `low` has the highest floor, and no more than `high` replicas may be asked for."""

    all: tuple[Room, ...]
    low: Room
    high: int
    footing: Footing
    terms: SpotTolerance

    @property
    def floor(self) -> int:
        return min(self.low.floor.replicas, self.high)

    def give(self, floor: int, ceiling: int, reason: str, bound: Bound, by: Room) -> Allowance:
        share = min(self.footing.spot_share, self.terms.share.fraction)
        return Allowance(floor, ceiling, share, reason, bound, self.terms.on_demand, by.claim.policy.name)


def _spot(claims: Sequence[Claim]) -> SpotTolerance:
    """The strictest terms: of several policies the smallest share on spot, and the most that is always on demand."""
    spots = [claim.policy.spot for claim in claims]
    share, on_demand = min(s.share.fraction for s in spots), max(s.on_demand for s in spots)
    one = next((s for s in spots if s.share.fraction == share and s.on_demand == on_demand), None)
    return one or SpotTolerance(share=Percent(share), on_demand=on_demand)


def _inside(claims: Sequence[Claim], footing: Footing) -> Footing:
    """The footing in those zones alone in which every policy lets spot be bought; without one, nothing stands on spot."""
    patterns = [claim.policy.spot.zones for claim in claims if claim.policy.spot.zones]
    if not patterns or not footing.zones:
        return footing
    zones = tuple(zone for zone in footing.zones if all(any(fnmatchcase(zone, one) for one in some) for some in patterns))
    return replace(footing, zones=zones, spot_share=footing.spot_share if zones else 0.0)


def _most(rooms: Sequence[Room], low: Room) -> int:
    """The most replicas that may be asked for. A promise widens what another policy allows."""
    promises = [room.promise.availability for room in rooms]
    most = min(p.replicas.high for p in promises)
    if len(rooms) > 1:
        most = max(most, *(p.min_ready + p.survive for p in promises))
    # Where a first replica takes too long one stays, even where a window says that none is wanted.
    return most or min(1, low.floor.replicas)


def _strictest(rooms: _Rooms, before: Allowance | None) -> Allowance:
    low, floor, high = rooms.low, rooms.floor, rooms.high
    if high == 0:
        return rooms.give(0, 0, zero_sentence(rooms.all), Bound.OPEN, low)
    for one in rooms.all:
        if one.stops:
            return rooms.give(0, 0, stopped_sentence(one, rooms.all, floor), Bound.STOPPED, one)
    unread = next((one for one in rooms.all if one.found is None), None)
    if unread is not None or rooms.footing.hourly is None:
        what = f"balance of {whose(unread, rooms.all)}" if unread else "price of a replica"
        return _held(rooms, before, what, unread or low)
    why = floor_sentence(low, rooms.all, floor)
    for one in rooms.all:
        if one.left <= ZERO:
            return rooms.give(floor, floor, f"{why}; {gone_sentence(one, rooms.all)}", Bound.SPENT, one)
    tight = min(rooms.all, key=lambda one: (one.pays, one.left.micros))
    why = f"{why}; {pays_sentence(tight, rooms.all, rooms.footing.hourly)}"
    if tight.pays < floor:
        return rooms.give(floor, floor, f"{why}: the floor is held, nothing grows", Bound.SHORT, tight)
    if tight.pays < high:
        return rooms.give(floor, tight.pays, why, Bound.SHORT, tight)
    return rooms.give(floor, high, why, Bound.OPEN, low)


def _rested(after: Allowance, claims: Sequence[Claim], before: Allowance | None, now: datetime) -> Allowance:
    """Holds back room that would return too soon after money took it away."""
    if before is None:
        return after
    if after.ceiling < before.ceiling:
        return replace(after, lowered=now.isoformat()) if after.bound == Bound.SHORT else after
    since = datetime.fromisoformat(before.lowered) if before.lowered else None
    if since is None or now - since >= REST or any(c.balance and c.balance.window_start > since for c in claims):
        return after
    if after.ceiling == before.ceiling or after.floor > before.ceiling:
        return replace(after, lowered=before.lowered)
    reason = f"{after.reason}; room that money took away comes back {REST // timedelta(minutes=1)} minutes later"
    return replace(after, ceiling=before.ceiling, reason=reason, bound=before.bound, lowered=before.lowered)


def _held(rooms: _Rooms, before: Allowance | None, what: str, by: Room) -> Allowance:
    """What was given stays as it is, inside what is allowed now."""
    floor = rooms.floor if before is None else min(before.floor, rooms.high)
    most = rooms.high if before is None else min(before.ceiling, rooms.high)
    ceiling = max(floor, min(rooms.footing.running, most))
    return rooms.give(floor, ceiling, f"the {what} is not known, so nothing grows: {floor} to {ceiling} held", Bound.UNKNOWN, by)
