"""Hedge: the counts by slot that cost least, a shortfall priced in, inside the bounds of a policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mlray.market.fleet import Need, Slot
from mlray.market.shortfall import chances, missing_more

# What a broken bound costs: the upper ones are never traded for the lower ones, and none of them for dollars.
BEYOND_MOST, BEYOND_SPOT, BELOW_ON_DEMAND, BELOW_READY, BELOW_ZONES = 1e13, 1e11, 1e9, 1e7, 1e5


@dataclass(frozen=True, slots=True)
class Option:
    """One slot as the solver sees it: dollars an hour, nodes prepaid, held and at most to be had, and the hazards of its nodes.

    `hazards[c]` is the rate of losses that leave at most c nodes; nodes on demand have none.
    """

    slot: Slot
    price: float
    prepaid: int = 0
    held: int = 0
    most: int = 1_000_000
    hazards: Sequence[float] = ()
    losses: dict[int, tuple[float, ...]] = field(default_factory=dict, compare=False)

    def cost(self, nodes: int) -> float:
        """Dollars an hour beyond what is prepaid."""
        return self.price * max(0, nodes - self.prepaid)

    def chances(self, nodes: int, window_s: float) -> tuple[float, ...]:
        """The chance that at least 1, 2, ... of so many nodes were lost in the window."""
        if nodes not in self.losses:
            self.losses[nodes] = chances(self.hazards, nodes, window_s)
        return self.losses[nodes]


@dataclass(frozen=True, slots=True)
class Stakes:
    """What the solver weighs: dollars an hour that a shortfall is worth, and what a launch costs.

    A node lost is missing for `window_s`. A launch is paid for while it starts: `launch_share` of an hour's price.
    """

    need: Need
    window_s: float
    coupling: float
    weight: float
    launch_share: float

    def score(self, options: Sequence[Option], counts: Sequence[int]) -> float:
        """What is made small: dollars an hour, the shortfall at its weight, launches, and bounds that are broken.

        One loop over the options, because a search asks this some hundred times.
        """
        dollars, total, spot, lost, zones = 0.0, 0, 0, [], set()
        for option, nodes in zip(options, counts, strict=True):
            if nodes:
                paid, new = nodes - option.prepaid, nodes - option.held
                dollars += option.price * ((paid if paid > 0 else 0) + (self.launch_share * new if new > 0 else 0.0))
                total += nodes
                zones.add(option.slot.zone)
                if option.hazards:
                    spot += nodes
                    lost.append(option.chances(nodes, self.window_s))
        short = missing_more(lost, total - self.need.ready, self.coupling)
        return dollars + self.weight * short + _broken(self.need, total, spot, len(zones))

    def shortfall(self, options: Sequence[Option], counts: Sequence[int]) -> float:
        """The chance that fewer than the needed nodes are ready at a moment, with all of these launched long ago."""
        lost = [o.chances(n, self.window_s) for o, n in zip(options, counts, strict=True) if n and o.hazards]
        return missing_more(lost, sum(counts) - self.need.ready, self.coupling)


def _broken(need: Need, total: int, spot: int, zones: int) -> float:
    """What the broken bounds of the need cost; 0 where all hold."""
    wanted = need.ready + need.survive if need.ready else 0
    return (
        BEYOND_MOST * max(0, total - (total if need.most is None else need.most))
        + BEYOND_SPOT * max(0.0, spot - need.spot_share * total - 1e-9)
        + BELOW_ON_DEMAND * max(0, min(need.on_demand, wanted) - (total - spot))
        + BELOW_READY * max(0, wanted - total)
        + BELOW_ZONES * max(0, min(need.zones, wanted) - zones)
    )


def hedge(options: Sequence[Option], stakes: Stakes) -> tuple[int, ...]:
    """The counts, one for each option. Searched from what is held and from an even spread, in steps that end at one node.

    The search takes the best single step (one more, one fewer, one moved) until none helps. It is no proof of an optimum;
    tests hold it against a full enumeration of small cases.
    """
    starts = {tuple(min(o.held, o.most) for o in options), _even(options, stakes.need)}
    found = [_descend(options, stakes, start) for start in sorted(starts)]
    return min(found)[1]


def _descend(options: Sequence[Option], stakes: Stakes, counts: tuple[int, ...]) -> tuple[float, tuple[int, ...]]:
    known: dict[tuple[int, ...], float] = {}

    def score(found: tuple[int, ...]) -> float:
        if found not in known:
            known[found] = stakes.score(options, found)
        return known[found]

    best = (score(counts), counts)
    for step in sorted({max(1, stakes.need.ready // part) for part in (4, 12, stakes.need.ready or 1)}, reverse=True):
        while True:
            near = min(((score(c), c) for c in _near(options, best[1], step)), default=best)
            if near[0] >= best[0] - 1e-12:
                break
            best = near
    return best


def _near(options: Sequence[Option], counts: tuple[int, ...], step: int) -> Iterator[tuple[int, ...]]:
    for at, option in enumerate(options):
        if counts[at] + step <= option.most:
            yield (*counts[:at], counts[at] + step, *counts[at + 1 :])
        if counts[at] >= step:
            fewer = [*counts[:at], counts[at] - step, *counts[at + 1 :]]
            yield tuple(fewer)
            for to, other in enumerate(options):
                if to != at and counts[to] + step <= other.most:
                    yield tuple(n + step if i == to else n for i, n in enumerate(fewer))


def _even(options: Sequence[Option], need: Need) -> tuple[int, ...]:
    """As many as needed, one at a time where fewest are; spot first."""
    counts = [0] * len(options)
    spot = [i for i, o in enumerate(options) if o.hazards] or list(range(len(options)))
    for _ in range(need.ready + need.survive):
        room = [i for i in spot if counts[i] < options[i].most] or [i for i, o in enumerate(options) if counts[i] < o.most]
        if not room:
            break
        counts[min(room, key=lambda i: (counts[i], options[i].price))] += 1
    return tuple(counts)
