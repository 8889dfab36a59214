"""Placement: how many nodes in which zone, on spot or not, so that enough are ready at the least cost; what to launch and stop."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from mlray.market.fleet import Held, Market, Need, Pool, Slot
from mlray.market.hazard import History
from mlray.market.spec import Capacity
from mlray.units import Money


@dataclass(frozen=True, slots=True)
class Move:
    """Nodes to launch or to stop in one slot. Of those to stop, the ones that are furthest from ready go first."""

    slot: Slot
    nodes: int


@dataclass(frozen=True, slots=True)
class Placement:
    """What to hold (`counts`, by slot) and what to do now for it, with the reason. Good until `until_s` if nothing changes.

    A launch that is refused is told to `learn`, and `place` is asked again at once: it looks elsewhere.
    """

    counts: tuple[tuple[Slot, int], ...]
    launch: tuple[Move, ...]
    stop: tuple[Move, ...]
    reason: str
    until_s: float
    market: Market
    history: History
    hourly: Money | None = None


def place(need: Need, market: Market, history: History, before: Placement | None = None) -> Placement:
    """What to hold now. `before` is the last answer; it is given back where nothing has changed since."""
    if before is not None and _same(market, history, before):
        return before
    counts = _counts(need, market, history)
    launch, stop = moves(counts, market)
    reason = ", ".join(f"{n} {slot.capacity} in {slot.zone}" for slot, n in counts if n)
    return Placement(tuple(counts), launch, stop, reason or "nothing is needed", market.now_s + 60.0, market, history)


def _same(market: Market, history: History, before: Placement) -> bool:
    then = before.market
    return (
        market.now_s < before.until_s
        and history is before.history
        and market.held == then.held
        and market.pools == then.pools
        and not before.launch
        and not before.stop
    )


def _counts(need: Need, market: Market, history: History) -> list[tuple[Slot, int]]:
    """One more than needed on spot, spread evenly over quiet zones; on-demand for what is missing."""
    allowed = [p for p in market.pools if p.price is not None and any(fnmatchcase(p.slot.zone, a) for a in need.allowed)]
    now, held = market.now_s, {h.slot: h for h in market.held}
    staying = {s: h.staying for s, h in held.items()}
    wanted = need.ready + max(1, need.survive) if need.ready else 0
    spot = [p.slot for p in allowed if p.slot.capacity is Capacity.SPOT and _open(p, need, history, now, staying)]
    on_demand = [p for p in allowed if p.slot.capacity is Capacity.ON_DEMAND]
    counts: dict[Slot, int] = dict.fromkeys((p.slot for p in allowed), 0)
    for _ in range(min(wanted - min(need.on_demand, wanted), int(wanted * need.spot_share)) if spot else 0):
        best = min(spot, key=lambda s: (counts[s], -staying.get(s, 0), s))
        counts[best] += 1
    missing = max(need.ready, need.on_demand) - sum(counts.values()) if need.spot_share < 1 or not spot else need.on_demand
    if on_demand and missing > 0:
        counts[min(on_demand, key=lambda p: p.price or 0).slot] += missing
    return list(counts.items())


def _open(pool: Pool, need: Need, history: History, now_s: float, staying: dict[Slot, int]) -> bool:
    quiet = history.of(pool.slot.zone).quiet(now_s)
    return quiet >= need.rebuy_s or (staying.get(pool.slot, 0) > 0 and quiet > 0)


def moves(counts: list[tuple[Slot, int]], market: Market) -> tuple[tuple[Move, ...], tuple[Move, ...]]:
    """Launches for what is missing; stops for what is over, once all that is wanted is ready without it."""
    held = {h.slot: h for h in market.held}
    wanted = dict(counts)
    none = Held(Slot("", Capacity.SPOT))
    launch = tuple(Move(s, n - held.get(s, none).staying) for s, n in counts if n > held.get(s, none).staying)
    ready = sum(h.ready - h.noticed for h in market.held)
    spare, stop = ready - sum(wanted.values()), []
    for slot, have in held.items():
        over = have.staying - wanted.get(slot, 0)
        if over <= 0:
            continue
        early = min(over, have.starting)
        late = max(0, min(over - early, spare))
        spare -= late
        if early + late:
            stop.append(Move(slot, early + late))
    return launch, tuple(stop)
