"""Hazard: how often each zone takes spot nodes away, learned from what is seen of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

HOUR = 3600.0
NEVER = float("-inf")
# A zone nobody has seen yet is taken to lose nodes every six hours, as a zone seen for two hours would be.
PRIOR_EVENTS, PRIOR_S = 1 / 3, 2 * HOUR
QUANTUM_S = 300.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of the spot market since the last look, at `now_s`.

    `held` are the spot nodes held by zone after the losses, `lost` those taken away by zone, `refused` the zones that had no
    node for us, `granted` those that had; `short` is whether fewer than the promised nodes were ready.
    """

    now_s: float
    held: tuple[tuple[str, int], ...] = ()
    lost: tuple[tuple[str, int], ...] = ()
    refused: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    short: bool = False


@dataclass(frozen=True, slots=True)
class ZoneHistory:
    """One zone: seconds in which nodes were held there, moments of loss, and when the last of each kind was."""

    zone: str
    watched_s: float = 0.0
    losses: float = 0.0
    lost_at: float = NEVER
    refused_at: float = NEVER

    @property
    def rate(self) -> float:
        """Moments of loss in a second in which nodes are held."""
        return (self.losses + PRIOR_EVENTS) / (self.watched_s + PRIOR_S)

    def quiet(self, now_s: float) -> float:
        """Seconds since the zone last took a node or had none."""
        return now_s - max(self.lost_at, self.refused_at)


@dataclass(frozen=True, slots=True)
class History:
    """All zones seen so far, and how the promise has been kept: `short_s` of `counted_s` seconds were short of nodes."""

    zones: tuple[ZoneHistory, ...] = ()
    held: tuple[tuple[str, int], ...] = ()
    at_s: float = NEVER
    short: bool = False
    short_s: float = 0.0
    counted_s: float = 0.0

    def of(self, zone: str) -> ZoneHistory:
        """What is known of a zone; of one never seen, the prior."""
        return next((z for z in self.zones if z.zone == zone), ZoneHistory(zone))


def learn(history: History, seen: Seen) -> History:
    """The history after what was seen. It is the very same object while nothing happened and little time passed."""
    if (
        not seen.lost
        and not seen.refused
        and (seen.held, seen.short) == (history.held, history.short)
        and seen.now_s < history.at_s + QUANTUM_S
    ):
        return history
    passed = max(0.0, seen.now_s - history.at_s) if history.at_s > NEVER else 0.0
    held, lost = dict(history.held), dict(seen.lost)
    names = {z.zone for z in history.zones} | set(held) | set(lost) | set(seen.refused)
    zones = tuple(_after(history.of(n), passed if held.get(n) else 0.0, n in lost, n in seen.refused, seen.now_s) for n in sorted(names))
    short_s = history.short_s + (passed if history.short else 0.0)
    return History(zones, seen.held, seen.now_s, seen.short, short_s, history.counted_s + passed)


def _after(zone: ZoneHistory, watched_s: float, lost: bool, refused: bool, now_s: float) -> ZoneHistory:
    return replace(
        zone,
        watched_s=zone.watched_s + watched_s,
        losses=zone.losses + lost,
        lost_at=now_s if lost else zone.lost_at,
        refused_at=now_s if refused else zone.refused_at,
    )
