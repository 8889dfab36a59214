"""Fleet: what is held, what may be bought and what is needed, as the facts a placement is decided from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from mlray.market.spec import Capacity
from mlray.units import Price

NEVER = float("-inf")
# us-west-2a and us-central1-a: a region that ends in a digit, and the letter of a zone.
ZONE = re.compile(r"(.*\d)-?[a-z]")


class Slot(NamedTuple):
    """Where and how a node is bought. A plain tuple, because it is the key of everything here."""

    zone: str
    capacity: Capacity


@cache
def region(zone: str) -> str:
    """The region a zone's name tells, us-west-2 of us-west-2a; a zone whose name tells none is a region of its own."""
    found = ZONE.fullmatch(zone)
    return found[1] if found else zone


@dataclass(frozen=True, slots=True)
class Need:
    """What a deployment asks of its nodes: the promise, and the bounds of its policy.

    `ready` nodes for the share `target` of the time; `survive` so many losses at one moment; at least `zones` zones;
    at most the share `spot_share` of the nodes on spot and at least `on_demand` nodes not on it; `allowed` are shell
    patterns of the zones in which spot may be bought; `rebuy_s` is how long a zone must have been quiet (nothing lost, nothing
    refused) before spot is bought there again; `least` to `most` nodes in all (None: as many as it takes). `notice_s` is 0 where no
    notice comes or the policy does not act on it.
    """

    ready: int
    target: float = 0.99
    cold_start_s: float = 120.0
    notice_s: float = 0.0
    survive: int = 0
    zones: int = 1
    spot_share: float = 1.0
    on_demand: int = 0
    allowed: tuple[str, ...] = ("*",)
    rebuy_s: float = 300.0
    most: int | None = None
    least: int = 0

    def __post_init__(self) -> None:
        if self.ready < 0 or not 0 <= self.target <= 1 or not 0 <= self.spot_share <= 1 or self.cold_start_s < 0:
            raise ValueError(f"{self.ready} ready for {self.target} of the time, {self.spot_share} on spot: no such need")


@dataclass(frozen=True, slots=True)
class Pool:
    """Nodes of one kind that may be bought in one zone. A price of None is unknown, and nothing is bought at it.

    `prepaid` nodes of it are paid for already (a commitment): they cost nothing more while they run.
    """

    slot: Slot
    price: Price | None
    prepaid: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """Nodes held in one slot: `starting` and `ready`; `noticed` of the ready ones are about to be taken away."""

    slot: Slot
    starting: int = 0
    ready: int = 0
    noticed: int = 0

    @property
    def staying(self) -> int:
        """Nodes that nobody has announced to take away."""
        return self.starting + self.ready - self.noticed


@dataclass(frozen=True, slots=True)
class Market:
    """All that is known of the market at one instant; `now_s` are seconds since any fixed moment. Slots come once each."""

    now_s: float
    pools: tuple[Pool, ...]
    held: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of the spot market since the last look, at `now_s`.

    `held` are the spot nodes held by zone after the losses, `lost` those taken away by zone, and `warned` how many of these had
    been announced; `refused` are the zones that had no node for us. `short` is whether fewer nodes than promised were ready.
    """

    now_s: float
    held: tuple[tuple[str, int], ...] = ()
    lost: tuple[tuple[str, int], ...] = ()
    refused: tuple[str, ...] = ()
    short: bool = False
    warned: int = 0
