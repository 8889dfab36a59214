"""Hedge: the counts by slot that cost least, a shortfall priced in, inside the bounds of a policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mlray.market.fleet import Need, Slot, region
from mlray.market.shortfall import chances, merged, missing_more

# What a broken bound costs: the upper ones are never traded for the lower ones, and none of them for dollars.
BEYOND_MOST, BEYOND_SPOT, BELOW_ON_DEMAND, BELOW_READY, BELOW_ZONES = 1e13, 1e11, 1e9, 1e7, 1e5
# Up to so many nodes, a score is cheap: more starts, and more moves tried.
FEW = 8
LITTLE = 0.002


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
    losses: dict[int, tuple[float, ...]] = field(default_factory=dict, init=False, compare=False)

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

    A node lost is missing for `window_s`. Zones of one region fall together with chance `kinship`, regions with chance `coupling`.
    A launch is paid for while it starts: `launch_share` of an hour's price; giving up a node that is held costs the same, as it
    runs on until its replacement is ready and takes a launch to come back. So a saving must pay for the cold starts it costs.
    """

    need: Need
    window_s: float
    coupling: float
    weight: float
    launch_share: float
    kinship: float = 0.0
    known: dict[tuple[tuple[float, ...], ...], tuple[float, ...]] = field(default_factory=dict, init=False, compare=False)

    def score(self, options: Sequence[Option], counts: Sequence[int]) -> float:
        """What is made small: dollars an hour, the shortfall at its weight, launches, and bounds that are broken.

        One loop over the options, because a search asks this some hundred times.
        """
        dollars, total, spot, lost, zones = 0.0, 0, 0, dict[str, list[tuple[float, ...]]](), set()
        for option, nodes in zip(options, counts, strict=True):
            dollars += option.price * self.launch_share * abs(nodes - option.held)
            if nodes:
                paid = nodes - option.prepaid
                dollars += option.price * (paid if paid > 0 else 0)
                total += nodes
                zones.add(option.slot.zone)
                if option.hazards:
                    spot += nodes
                    lost.setdefault(region(option.slot.zone), []).append(option.chances(nodes, self.window_s))
        short = self._missing(lost, total)
        return dollars + self.weight * short + _broken(self.need, total, spot, len(zones))

    def shortfall(self, options: Sequence[Option], counts: Sequence[int]) -> float:
        """The chance that fewer than the needed nodes are ready at a moment, with all of these launched long ago."""
        lost = dict[str, list[tuple[float, ...]]]()
        for option, nodes in zip(options, counts, strict=True):
            if nodes and option.hazards:
                lost.setdefault(region(option.slot.zone), []).append(option.chances(nodes, self.window_s))
        return self._missing(lost, sum(counts))

    def _missing(self, lost: Mapping[str, Sequence[tuple[float, ...]]], total: int) -> float:
        return missing_more([self._region(tuple(zones)) for zones in lost.values()], total - self.need.ready, self.coupling)

    def _region(self, zones: tuple[tuple[float, ...], ...]) -> tuple[float, ...]:
        if zones not in self.known:
            self.known[zones] = merged(zones, self.kinship)
        return self.known[zones]


def wanted_in_all(need: Need) -> int:
    """The fewest nodes to hold: what is needed and may be lost at one moment, and no fewer than `least`."""
    return max(need.ready + need.survive if need.ready else 0, need.least)


def _broken(need: Need, total: int, spot: int, zones: int) -> float:
    """What the broken bounds of the need cost; 0 where all hold."""
    wanted = wanted_in_all(need)
    if total >= wanted and need.most is None and need.spot_share == 1 and not need.on_demand and zones >= min(need.zones, wanted):
        return 0.0
    return (
        BEYOND_MOST * max(0, total - (total if need.most is None else need.most))
        + BEYOND_SPOT * max(0.0, spot - need.spot_share * total - 1e-9)
        + BELOW_ON_DEMAND * max(0, min(need.on_demand, wanted) - (total - spot))
        + BELOW_READY * max(0, wanted - total)
        + BELOW_ZONES * max(0, min(need.zones, wanted) - zones)
    )


def hedge(options: Sequence[Option], stakes: Stakes) -> tuple[int, ...]:
    """The counts, one for each option.

    The search takes the best single step (one more, one fewer, one moved) until none helps, from the three best of several starts, with
    many nodes from the best alone. It is no proof of an optimum; tests hold it against a full enumeration of small cases.
    """
    few = stakes.need.ready <= FEW
    search = _Search(options, stakes, few)
    held = tuple(min(o.held, o.most) for o in options)
    starts = sorted(search.scored(start) for start in {held, *_spreads(options, stakes.need)})
    return min(search.descend(start) for _, start in starts[: 3 if few else 1])[1]


def _spreads(options: Sequence[Option], need: Need) -> Iterator[tuple[int, ...]]:
    """Even spreads of what is wanted over the cheapest slots, and of so much more that any one of them may fall.

    Where a zone falls as a whole, one spare more changes nothing and only a zone's worth of them does: no single step gets there.
    """
    wanted, spot = wanted_in_all(need), sorted((i for i, o in enumerate(options) if o.hazards and o.most), key=lambda i: options[i].price)
    for slots in range(1 if need.ready <= FEW else len(spot), len(spot) + 1):
        yield _even(options, spot[:slots], wanted)
        if slots > 1:
            yield _even(options, spot[:slots], -(-wanted * slots // (slots - 1)))
    yield _even(options, [i for i, o in enumerate(options) if not o.hazards], wanted)


Scored = tuple[float, tuple[int, ...]]


class _Search:
    """Steps downhill; scores already known are not computed again.

    With many nodes a step must save LITTLE of the score, because it changes little and a score is dear. A node is moved only
    between the `partners` slots that best give one and those that best take one: the best move is nearly always among these.
    """

    def __init__(self, options: Sequence[Option], stakes: Stakes, few: bool) -> None:
        self._options, self._stakes = options, stakes
        self._partners, self._worthwhile = (3, 1e-12) if few else (2, LITTLE)
        self._known: dict[tuple[int, ...], float] = {}

    def descend(self, counts: tuple[int, ...]) -> Scored:
        """The end of the walk from `counts`: larger steps first where much is missing."""
        best, gap = self.scored(counts), abs(wanted_in_all(self._stakes.need) - sum(counts))
        for step in sorted({1, max(1, gap // 4), max(1, gap // 12)}, reverse=True):
            while (near := self._best_near(best[1], step))[0] < best[0] - self._worthwhile * best[0]:
                best = near
        return best

    def _best_near(self, counts: tuple[int, ...], step: int) -> Scored:
        every = range(len(counts))
        more = sorted((*self.scored(_changed(counts, i, step)), i) for i in every if counts[i] + step <= self._options[i].most)
        fewer = sorted((*self.scored(_changed(counts, i, -step)), i) for i in every if counts[i] >= step)
        moved = (
            self.scored(_changed(_changed(counts, i, -step), j, step))
            for *_, i in fewer[: self._partners]
            for *_, j in more[: self._partners]
            if i != j
        )
        return min([(score, found) for score, found, _ in (*more[:1], *fewer[:1])] + list(moved), default=self.scored(counts))

    def scored(self, counts: tuple[int, ...]) -> Scored:
        if counts not in self._known:
            self._known[counts] = self._stakes.score(self._options, counts)
        return self._known[counts], counts


def _changed(counts: tuple[int, ...], at: int, by: int) -> tuple[int, ...]:
    return (*counts[:at], counts[at] + by, *counts[at + 1 :])


def _even(options: Sequence[Option], slots: Sequence[int], nodes: int) -> tuple[int, ...]:
    """So many nodes, evenly over these slots; what does not fit there goes to the cheapest others."""
    counts = [0] * len(options)
    while room := [i for i in slots if counts[i] < options[i].most]:
        share, over = divmod(nodes - sum(counts), len(room))
        if not share and not over:
            break
        for rank, i in enumerate(room):
            counts[i] = min(options[i].most, counts[i] + share + (rank < over))
    for i in sorted(range(len(options)), key=lambda i: options[i].price):
        counts[i] += min(options[i].most - counts[i], nodes - sum(counts))
    return tuple(counts)
