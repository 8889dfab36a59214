"""Placement: how many nodes in which zone, on spot or not, so that enough are ready at the least cost; what to launch and stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from math import exp

from mlray.market.because import because
from mlray.market.fleet import NEVER, Held, Market, Need, Pool, Slot
from mlray.market.hazard import AGES, HOUR, History
from mlray.market.hedge import Option, Stakes, hedge, wanted_in_all
from mlray.market.spec import Capacity

REFRESH_S = HOUR
# A launch is paid for while it starts; spread over this many seconds of the node's life when weighed against standing still.
LIFE_S = HOUR
# In about this time the weight follows a shortfall that is twice, or none, of what the target leaves.
STEER_S = 24 * HOUR
# What an hour of shortfall is worth at first: so many on-demand hours for the part of the time that may be short.
WORTH = 0.6
# Aimed at inside the target: losses are few and come by chance, and a promise aimed at exactly is broken every other month.
AIM = 0.7
# The spot slots a search looks at, and the most spares it may want.
FEW, SPARE = 6, 8
WEIGHTS = (0.1, 1e6)


@dataclass(frozen=True, slots=True)
class Move:
    """Nodes to launch or to stop in one slot. Of those to stop, the ones that are furthest from ready go first."""

    slot: Slot
    nodes: int


@dataclass(frozen=True, slots=True)
class Placement:
    """What to hold (`counts`, by slot) and what to do now for it, with the reason.

    A launch that is refused is told to `learn`, and `place` is asked again at once: it looks elsewhere. `hourly` are dollars for
    an hour of the counts, `shortfall` the chance that they are too few at a moment, and `weight` the dollars an hour of
    shortfall is worth to the solver now. The rest is what it was decided from.
    """

    counts: tuple[tuple[Slot, int], ...]
    launch: tuple[Move, ...]
    stop: tuple[Move, ...]
    reason: str
    hourly: float
    shortfall: float
    weight: float
    until_s: float
    need: Need
    market: Market
    news: int
    expected_s: float = 0.0


def place(need: Need, market: Market, history: History, before: Placement | None = None) -> Placement:
    """What to hold now. `before` is the last answer; the very same object comes back where nothing has changed since."""
    if before is not None and _still_good(need, market, history, before):
        if market.held == before.market.held and not before.launch and not before.stop:
            return before
        if _as_planned(before, market):
            launch, stop = moves(before.counts, market, need)
            return replace(before, launch=launch, stop=stop, market=replace(market, now_s=before.market.now_s))
    weight, expected_s = _steer(need, market, history, before)
    options = _options(need, market, history, weight)
    stakes = Stakes(need, _window(need, history), history.coupling, weight, need.cold_start_s / LIFE_S, history.kinship)
    best = hedge(options, stakes)
    counts = tuple((o.slot, n) for o, n in zip(options, best, strict=True))
    launch, stop = moves(counts, market, need)
    short = stakes.shortfall(options, best)
    hourly = sum(o.cost(n) for o, n in zip(options, best, strict=True))
    reason = because(need, market, history, counts, short)
    until = _until(need, market, history)
    return Placement(counts, launch, stop, reason, hourly, short, weight, until, need, market, history.news, expected_s)


def _still_good(need: Need, market: Market, history: History, before: Placement) -> bool:
    """Whether the counts of the last answer stand: nothing was lost, refused, announced, repriced or asked otherwise since."""
    return market.now_s < before.until_s and history.news == before.news and market.pools == before.market.pools and need == before.need


def _as_planned(before: Placement, market: Market) -> bool:
    """Whether exactly the wanted nodes stay, beside some that wait to be stopped."""
    staying = {h.slot: h.staying for h in market.held}
    return all(staying.get(slot, 0) >= n for slot, n in before.counts)


def _steer(need: Need, market: Market, history: History, before: Placement | None) -> tuple[float, float]:
    """What an hour of shortfall is worth, so that the mean shortfall comes out at what the target leaves."""
    room = max(AIM * (1.0 - need.target), 1e-6)
    if before is None:
        dearest = max((p.price.per_hour.usd for p in market.pools if p.price is not None), default=1.0)
        return min(max(dearest * WORTH / room, WEIGHTS[0]), WEIGHTS[1]), 0.0
    passed = max(0.0, market.now_s - before.market.now_s)
    expected_s = before.expected_s + before.shortfall * passed
    miss = (history.short_s + 5 * need.cold_start_s) / (expected_s + 5 * need.cold_start_s)
    over = before.shortfall * miss / room - 1.0
    weight = before.weight * exp(max(-1.0, min(1.0, over * passed / STEER_S)))
    return min(max(weight, WEIGHTS[0]), WEIGHTS[1]), expected_s


def _window(need: Need, history: History) -> float:
    """Seconds for which a lost node is missing: a cold start, or what the notice leaves of it."""
    if not need.notice_s:
        return need.cold_start_s
    return history.unwarned * need.cold_start_s + (1.0 - history.unwarned) * max(0.0, need.cold_start_s - need.notice_s)


def _options(need: Need, market: Market, history: History, weight: float) -> list[Option]:
    """What the solver may choose from: what is held, and of the rest the most promising few; the search grows with their square."""
    held = {h.slot: h for h in market.held}
    allowed = [p for p in market.pools if p.price is not None and _allowed(need, p)]
    wide = wanted_in_all(need) + SPARE
    found = [_option(pool, need, history, market.now_s, held.get(pool.slot, Held(pool.slot)), wide) for pool in allowed]
    found = [o for o in found if o.most]
    window = _window(need, history)
    on_demand = sorted((o for o in found if not o.hazards), key=lambda o: (o.prepaid == 0, not o.held, o.price, o.slot))
    spot = sorted((o for o in found if o.hazards), key=lambda o: (not o.held, o.price + weight * window * o.hazards[0], o.slot))
    return spot[: max(FEW, need.zones + 1)] + on_demand[: max(2, need.zones)]


def _allowed(need: Need, pool: Pool) -> bool:
    """Zones are named for spot; on-demand may be bought in any that the cluster offers."""
    return pool.slot.capacity is Capacity.ON_DEMAND or any(fnmatchcase(pool.slot.zone, a) for a in need.allowed)


def _option(pool: Pool, need: Need, history: History, now_s: float, held: Held, wide: int) -> Option:
    """One slot for the solver. A zone that announces losses is one that loses nodes now: nothing more is bought there."""
    price, staying = (pool.price.per_hour.micros / 1e6 if pool.price is not None else 0.0), held.staying
    if pool.slot.capacity is Capacity.ON_DEMAND:
        return Option(pool.slot, price, pool.prepaid, staying)
    known = history.of(pool.slot.zone)
    calm_s = 0.0 if held.noticed else known.calm_s(now_s)
    shut = held.noticed > 0 or now_s < known.shut_until(need.rebuy_s)
    most = staying if shut else max(wide, staying)
    return Option(pool.slot, price, pool.prepaid, staying, most, history.hazards(known, max(most, 1), calm_s))


def _until(need: Need, market: Market, history: History) -> float:
    """The next moment at which time alone changes the answer: a zone opens again or has been calm long enough."""
    now, moments = market.now_s, [market.now_s + REFRESH_S]
    for known in (history.of(p.slot.zone) for p in market.pools if p.slot.capacity is Capacity.SPOT):
        last = known.stirred_at
        if last > NEVER:
            moments += [*(last + age for age in AGES), known.shut_until(need.rebuy_s)]
    return min(m for m in moments if m > now)


def moves(counts: Sequence[tuple[Slot, int]], market: Market, need: Need) -> tuple[tuple[Move, ...], tuple[Move, ...]]:
    """Launches for what is missing; stops for what is over: what is ready not before all that is wanted is ready without it.

    A node that is starting is stopped at once where enough are ready; where they are not, it is nearer to ready than a new one.
    """
    held, wanted = {h.slot: h for h in market.held}, dict(counts)
    none = Held(Slot("", Capacity.SPOT))
    launch = tuple(Move(s, n - held.get(s, none).staying) for s, n in counts if n > held.get(s, none).staying)
    ready = sum(h.ready - h.noticed for h in market.held)
    spare = ready - _floor(need, sum(wanted.values()))
    complete = all(held.get(s, none).ready - held.get(s, none).noticed >= n for s, n in counts)
    enough, stop = ready >= _floor(need, 0), list[Move]()
    for slot, have in held.items():
        over = have.staying - wanted.get(slot, 0)
        if over > 0:
            early = min(over, have.starting) if enough else 0
            late = max(0, min(over - have.starting, spare)) if complete else 0
            spare -= late
            if early + late:
                stop.append(Move(slot, early + late))
    return launch, tuple(stop)


def _floor(need: Need, wanted: int) -> int:
    """The fewest nodes that must be ready when nothing else is: what is wanted, and what is needed where less can be bought."""
    floor = max(wanted, need.ready + need.survive if need.ready else 0)
    return floor if need.most is None else min(floor, need.most)
