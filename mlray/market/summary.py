"""Summary: what a trace tells: how much there was, how it went away, and what that means for work on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlray.market.checkpoint import every
from mlray.market.risk import Lives, learn
from mlray.market.together import of_nodes
from mlray.market.trace import Trace
from mlray.units import Duration, Money, Price

HOUR = 3600.0
LONGEST = 400 * 86400.0  # a time beyond it is "hardly ever": a recording of weeks cannot tell it


@dataclass(frozen=True, slots=True)
class Summary:
    """One zone's history in numbers. Rates are for one node and hour, with the bounds that hold them with 95 %.

    `share` is of the time with any node; `stays` and `away` are mean times of capacity; `together` is the chance that a loss
    takes another node of the zone within three minutes, None where there never were two; `checkpoint` is how often work that
    needs 10 s to be kept is best kept (Daly 2006); `price` the mean, None where nobody recorded it.
    """

    zone: str
    node_type: str
    ticks: int
    tick: Duration
    nodes: int
    share: float
    losses: int
    per_hour: float
    low: float
    high: float
    stays: Duration
    away: Duration
    lives_1h: float
    lives_4h: float
    together: float | None
    checkpoint: Duration
    price: Price | None

    @property
    def interruptions(self) -> str:
        """The line for `metadata.mlray.interruptions` of a cluster file."""
        together = f", together: {100 * self.together:.0f}%" if self.together is not None else ""
        return f"{{every: {self.stays}, recovery: {self.away}{together}}}"


def summary(trace: Trace, write_s: float = 10.0) -> Summary:
    """What the trace tells; where it is short, with the belief that no history has (mlray/market/risk.py)."""
    found, joint = learn(Lives.of(trace)), of_nodes(trace)
    most = int(trace.nodes.max(initial=0))
    known = np.empty(0) if trace.price is None else trace.price[~np.isnan(trace.price)]
    return Summary(
        zone=trace.zone,
        node_type=trace.node_type,
        ticks=len(trace),
        tick=Duration(trace.tick_s),
        nodes=most,
        share=float(trace.up.mean()) if len(trace) else 0.0,
        losses=int(found.losses),
        per_hour=found.per_hour,
        low=found.low,
        high=found.high,
        stays=_whole(HOUR / found.per_hour),
        away=_whole(found.recovery_s),
        lives_1h=found.survive(HOUR),
        lives_4h=found.survive(4 * HOUR),
        together=joint.share if most > 1 else None,
        checkpoint=_whole(every(found.per_hour, write_s)),
        price=Price(Money.dollars(round(float(known.mean()), 4))) if len(known) else None,
    )


def _whole(seconds: float) -> Duration:
    """In whole seconds, from ten minutes on in whole minutes: the rest is noise."""
    step = 60.0 if seconds >= 600 else 1.0
    return Duration(max(step, round(min(seconds, LONGEST) / step) * step))
