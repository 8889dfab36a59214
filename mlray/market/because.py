"""Because: the sentence that says what a placement holds, and why not less and not elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from mlray.market.fleet import Market, Need, Slot
from mlray.market.hazard import History
from mlray.market.spec import Capacity


def because(need: Need, market: Market, history: History, counts: Sequence[tuple[Slot, int]], shortfall: float) -> str:
    """For example `3 ready for 99.9%: 2 spot in a, 2 spot in b; 1 spare; short 0.0412% of the time as things are; a gives notice`."""
    held = [(slot, n) for slot, n in counts if n]
    total = sum(n for _, n in held)
    if not total:
        return "nothing is needed" if not need.ready else f"{need.ready} ready wanted, and there is nowhere to buy one"
    parts = [", ".join(f"{n} {slot.capacity} in {slot.zone}" for slot, n in held)]
    if total < need.ready:
        parts.append(f"{need.ready - total} too few: {_missing(need, total)}")
    elif total > need.ready:
        parts.append(f"{total - need.ready} spare")
    if total >= need.ready:
        parts.append(f"short {shortfall:.2%} of the time as things are")
    return f"{need.ready} ready for {need.target:.6g} of the time: " + "; ".join([*parts, *_avoided(need, market, history)])


def _missing(need: Need, total: int) -> str:
    return f"no more than {need.most} may be held" if need.most is not None and total >= need.most else "no more can be bought"


def _avoided(need: Need, market: Market, history: History) -> list[str]:
    """The zones in which no spot is bought now, and why."""
    noticed = {h.slot.zone for h in market.held if h.noticed}
    out = []
    for zone in (p.slot.zone for p in market.pools if p.slot.capacity is Capacity.SPOT):
        known = history.of(zone)
        if zone in noticed:
            out.append(f"{zone} gives notice")
        elif market.now_s < known.shut_until(need.rebuy_s):
            last = "took nodes" if known.lost_at >= known.refused_at else "had none"
            out.append(f"{zone} {last} {max(0.0, known.calm_s(market.now_s)) / 60:.0f} min ago")
    return out
