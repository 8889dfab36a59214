"""Need: what the policies of a deployment promise and its load asks -> what a placement has to hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import ceil

from mlray.market.fleet import Need
from mlray.policy.allowance import Allowance
from mlray.policy.spec import Availability, SpotTolerance


@dataclass(frozen=True, slots=True)
class Words:
    """What one policy says now: its promise, as the window of the hour has it, and how far it tolerates spot."""

    promise: Availability
    spot: SpotTolerance


@dataclass(frozen=True, slots=True)
class Ground:
    """What replicas stand on: seconds from buying a node until they are ready, seconds of notice before a loss (0: none), how many
    of them share a node, and the zones there are."""

    cold_start_s: float
    notice_s: float
    per_node: int = 1
    zones: tuple[str, ...] = ()


def need(words: Sequence[Words], room: Allowance, asked: int, ground: Ground) -> Need:
    """Nodes to have ready, under the strictest of several policies. `asked` is how many replicas the load wants inside the room.

    What the load wants is ready beyond the promise only where it is more than the floor, which holds spares already. All bounds
    are in nodes, rounded up, but for the most.
    """
    promises, terms = [w.promise for w in words], [w.spot for w in words]
    promised = min(room.ceiling, max((p.min_ready for p in promises), default=0))
    ready = max(promised, asked if asked > room.floor else 0)
    most = room.ceiling // ground.per_node or min(1, room.ceiling)
    return Need(
        ready=min(most, ceil(ready / ground.per_node)),
        target=max((p.target.fraction for p in promises), default=0.0),
        cold_start_s=ground.cold_start_s,
        notice_s=ground.notice_s if all(t.notices for t in terms) else 0.0,
        survive=ceil(max((p.survive for p in promises), default=0) / ground.per_node),
        zones=max((p.zones for p in promises), default=1),
        spot_share=min((t.share.fraction for t in terms), default=1.0),
        on_demand=ceil(max((t.on_demand for t in terms), default=0) / ground.per_node),
        allowed=tuple(zone for zone in ground.zones if all(_allows(t, zone) for t in terms)) if any(t.zones for t in terms) else ("*",),
        rebuy_s=max((t.rebuy.seconds for t in terms), default=0.0),
        least=min(most, ceil(room.floor / ground.per_node)),
        most=most,
    )


def _allows(terms: SpotTolerance, zone: str) -> bool:
    return not terms.zones or any(fnmatchcase(zone, pattern) for pattern in terms.zones)
