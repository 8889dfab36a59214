"""Hazard: how often a zone takes so many spot nodes away, by how calm it has been, learned from what is seen of it.

A zone is taken to have room for some number of nodes that nobody tells us. What is learned is how often that room falls to `c`
nodes or fewer: whoever holds n of them then loses all above it. So one table answers for every n, a zone in which little is
held is known to be safer, and losses that come together (most of one type and zone fall within three minutes, arXiv
2604.16457) are one event and not several independent ones.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from math import exp
from typing import NamedTuple

from mlray.market.fleet import NEVER, Seen, region

HOUR, DAY = 3600.0, 86400.0
# Since the last loss or refusal of a zone: the table has one row for each span of calm.
AGES = (5 * 60.0, 15 * 60.0, HOUR, 4 * HOUR)
# Nodes left after a loss: one column each below eight, then steps of a quarter; what is in one column is not told apart.
LEVELS = (*range(8), 8, 10, 12, 15, 19, 24, 30, 38, 48, 60, 75, 94, 118, 148, 185, 232)
COLUMN = tuple(bisect_right(LEVELS, n) - 1 for n in range(LEVELS[-1] + 1))
ROWS, WIDE = len(AGES) + 1, len(LEVELS)
# Before anything was seen: losses an hour where many nodes are held, by age, and the part of them that leaves so few nodes.
BY_AGE = (1.5, 0.8, 0.4, 0.2, 0.1)
BY_LEFT = (0.15, 0.3, 0.5, 0.8)
PRIOR = tuple(age * (BY_LEFT[c] if c < len(BY_LEFT) else 1.0) / HOUR for age in BY_AGE for c in range(WIDE))
# A prior weighs as much as so many losses.
TABLE_WEIGHT, ZONE_WEIGHT = 2.0, 2.0
MEMORY_S = 3 * DAY
QUANTUM_S = 300.0
# A zone that has been full for hours is asked again after a tenth of them, and twice an hour at least.
PATIENCE, LONGEST_S = 0.1, 1800.0
TOGETHER_S = 180.0


class Company(NamedTuple):
    """How losses come together: of `stood` other zones held when one lost nodes, `fell` lost some within TOGETHER_S."""

    stood: int = 0
    fell: int = 0

    def after(self, others: set[str], fallen: set[str]) -> Company:
        """With one more loss: it followed one of the others, or they stand and are put to the test."""
        followed = bool(others & fallen)
        return Company(self.stood + (0 if followed else len(others)), self.fell + followed)

    def joined(self, prior: float) -> float:
        """The chance that another zone falls with one; `prior`, weighing as much as ten zones, until something is known."""
        return min(1.0, (self.fell + 10 * prior) / (self.stood + 10))


ALONE = Company()


@dataclass(frozen=True, slots=True)
class ZoneHistory:
    """One zone: losses `seen` against those the table of all zones had `expected` of it, and when the last of each kind was.

    Both are sums by column of LEVELS, because one zone crumbles node by node where another falls to nothing at once. They fade
    with MEMORY_S, so that a zone is judged by its last days. `full_since` is when the row of refusals began that goes on yet, and
    `scarce_at` when room was last found too short: asking once more for a node beyond those that run there says nothing new.
    """

    zone: str
    seen: tuple[float, ...] = ()
    expected: tuple[float, ...] = ()
    lost_at: float = NEVER
    refused_at: float = NEVER
    full_since: float = NEVER
    scarce_at: float = NEVER

    def factor(self, column: int) -> float:
        """How much worse than all zones together: 2 is twice as many losses that leave so few. 1 until something is known."""
        if column >= len(self.seen):
            return 1.0 if not self.seen else self.factor(len(self.seen) - 1)
        return (self.seen[column] + ZONE_WEIGHT) / (self.expected[column] + ZONE_WEIGHT)

    def shut_until(self, rebuy_s: float) -> float:
        """Until when nothing is bought there: `rebuy_s` after a loss or a refusal, longer the longer the zone has been full."""
        full_s = self.refused_at - self.full_since if self.full_since > NEVER else 0.0
        waits = max(rebuy_s, min(PATIENCE * full_s, LONGEST_S))
        return max(self.lost_at + rebuy_s, self.refused_at + waits)

    @property
    def stirred_at(self) -> float:
        """When the zone last took a node or was found short of room; its calm is counted from here."""
        return max(self.lost_at, self.scarce_at)

    def calm_s(self, now_s: float) -> float:
        """Seconds since the zone last took a node or was found short of room."""
        return now_s - self.stirred_at


@dataclass(frozen=True, slots=True)
class History:
    """What was seen of all zones, and how the promise was kept: `short_s` of `counted_s` seconds had too few nodes ready.

    `spans` are seconds in which more than LEVELS[c] nodes were held, and `falls` the losses that left so few, by row of AGES and
    column of LEVELS. `news` counts looks in which something was lost or
    refused. `near` and `far` are the losses that came together inside a region and of several; `gone` nodes, `warned` of them announced.
    """

    zones: tuple[ZoneHistory, ...] = ()
    spans: tuple[float, ...] = (0.0,) * (ROWS * WIDE)
    falls: tuple[float, ...] = (0.0,) * (ROWS * WIDE)
    news: int = 0
    near: Company = ALONE
    far: Company = ALONE
    gone: int = 0
    warned: int = 0
    held: tuple[tuple[str, int], ...] = ()
    at_s: float = NEVER
    short: bool = False
    short_s: float = 0.0
    counted_s: float = 0.0

    def of(self, zone: str) -> ZoneHistory:
        """What is known of a zone; of one never seen, nothing."""
        return next((z for z in self.zones if z.zone == zone), ZoneHistory(zone))

    @property
    def coupling(self) -> float:
        """The chance that a loss in one zone comes with losses in other regions; one in twenty until something is known."""
        return self.far.joined(0.05)

    @property
    def kinship(self) -> float:
        """The chance that a loss in one zone comes with losses in the others of its region; one in five until something is known."""
        return self.near.joined(0.2)

    @property
    def unwarned(self) -> float:
        """The part of lost nodes that nobody announced; one in twenty until something is known."""
        return (self.gone - self.warned + 1) / (self.gone + 20)

    def rate(self, row: int, column: int) -> float:
        """Losses a second that leave at most LEVELS[column] nodes, of any zone, after so much calm."""
        at = row * WIDE + column
        return (self.falls[at] + TABLE_WEIGHT) / (self.spans[at] + TABLE_WEIGHT / PRIOR[at])

    def hazards(self, known: ZoneHistory, nodes: int, calm_s: float) -> list[float]:
        """Losses a second that leave at most 0, 1, ... nodes - 1 of them in a zone calm for so long; never falling along the list."""
        row = bisect_right(AGES, calm_s)
        out, most = list[float](), 0.0
        for at, first in enumerate(LEVELS):
            if first >= nodes:
                break
            most = max(most, known.factor(at) * self.rate(row, at))
            last = LEVELS[at + 1] if at + 1 < WIDE else nodes
            out += [most] * (min(last, nodes) - first)
        return out


def column(left: int) -> int:
    """The column of LEVELS for so many nodes left."""
    return COLUMN[left] if left < len(COLUMN) else WIDE - 1


def learn(history: History, seen: Seen) -> History:
    """The history after what was seen. It is the very same object while nothing happened and little time passed."""
    if (
        seen.now_s < history.at_s + QUANTUM_S
        and not seen.lost
        and not seen.refused
        and seen.held == history.held
        and seen.short == history.short
    ):
        return history
    passed = seen.now_s - history.at_s if history.at_s > NEVER else 0.0
    spans, falls = list(history.spans), list(history.falls)
    zones = {z.zone: z for z in history.zones}
    for name, nodes in history.held:
        zones[name] = _watched(history, zones.get(name, ZoneHistory(name)), nodes, passed, spans)
    held, before, near, far = dict(seen.held), dict(history.held), history.near, history.far
    for name, nodes in seen.held:
        if nodes > before.get(name, 0):
            zones[name] = replace(zones.get(name, ZoneHistory(name)), full_since=NEVER)
    for name, nodes in seen.lost:
        fallen = {z.zone for z in zones.values() if seen.now_s - z.lost_at <= TOGETHER_S}
        if name not in fallen:
            kin = {z for z in (*before, *fallen) if region(z) == region(name)} - {name}
            near, far = near.after(kin, fallen), far.after({*before, *fallen} - kin - {name}, fallen)
        zones[name] = _lost(zones.get(name, ZoneHistory(name)), held.get(name, 0), nodes, seen.now_s, falls)
    for name in seen.refused:
        zones[name] = _refused(zones.get(name, ZoneHistory(name)), held.get(name, 0), seen.now_s)
    return History(
        zones=tuple(zones[name] for name in sorted(zones)),
        spans=tuple(spans),
        falls=tuple(falls),
        news=history.news + bool(seen.lost or seen.refused),
        near=near,
        far=far,
        gone=history.gone + sum(n for _, n in seen.lost),
        warned=history.warned + seen.warned,
        held=seen.held,
        at_s=seen.now_s,
        short=seen.short,
        short_s=history.short_s + (passed if history.short else 0.0),
        counted_s=history.counted_s + passed,
    )


def _watched(history: History, zone: ZoneHistory, nodes: int, passed: float, spans: list[float]) -> ZoneHistory:
    """The zone after `passed` seconds in which nodes were held there; the spans of their columns grow."""
    if not nodes or not passed:
        return zone
    row = bisect_right(AGES, zone.calm_s(history.at_s))
    top = column(nodes - 1)
    for at in range(row * WIDE, row * WIDE + top + 1):
        spans[at] += passed
    fade = exp(-passed / MEMORY_S)
    seen, expected = _wide(zone.seen, top), _wide(zone.expected, top)
    fresh = [history.rate(row, c) * passed if c <= top else 0.0 for c in range(len(expected))]
    return replace(
        zone,
        seen=tuple(s * fade for s in seen),
        expected=tuple(e * fade + f for e, f in zip(expected, fresh, strict=True)),
    )


def _wide(sums: tuple[float, ...], column: int) -> list[float]:
    """The sums with a place for the column."""
    return [*sums, *[0.0] * (column + 1 - len(sums))]


def _lost(zone: ZoneHistory, left: int, nodes: int, now_s: float, falls: list[float]) -> ZoneHistory:
    """The zone after a loss that left so many; it counts in every column the room has fallen through."""
    row, low, high = bisect_right(AGES, zone.calm_s(now_s)), column(left), column(left + nodes - 1)
    seen = _wide(zone.seen, high)
    for at in range(low, high + 1):
        falls[row * WIDE + at] += 1
        seen[at] += 1
    return replace(zone, seen=tuple(seen), expected=tuple(_wide(zone.expected, high)), lost_at=now_s, full_since=NEVER)


def _refused(zone: ZoneHistory, held: int, now_s: float) -> ZoneHistory:
    """The zone after it had no node for us. Where nodes run, only the first refusal of a row is a sign that room is short."""
    first = zone.full_since == NEVER
    scarce_at = now_s if first or not held else zone.scarce_at
    return replace(zone, refused_at=now_s, full_since=now_s if first else zone.full_since, scarce_at=scarce_at)
