"""Rehearse: one piece of deadline work against a recorded market, tick by tick, under a policy: what it costs, and whether it is late."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mlray.market.steps import Choice, Standing, Task, advance, taken
from mlray.market.trace import Trace

# Of one tick: dollars an hour of spot, by zone, where it is up.
Offered = Mapping[str, float]
# (tick, standing as `taken` left it, offered) -> what to do, and in which zone.
Policy = Callable[[int, Standing, Offered], tuple[Choice, str]]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """`ticks` is how many passed until the work was done, or the deadline where it is `late`."""

    dollars: float
    late: bool
    ticks: int
    launches: int


def rehearse(task: Task, offered: Sequence[Offered], policy: Policy) -> Rehearsal:
    """Raises ValueError for a policy that takes spot in a zone which is not up, and for a record that ends before the deadline."""
    if len(offered) < task.ticks:
        raise ValueError(f"a record of {len(offered)} ticks for a deadline after {task.ticks}")
    standing, dollars, launches = task.start(), 0.0, 0
    for tick in range(task.ticks):
        standing = taken(standing, offered[tick])
        choice, zone = policy(tick, standing, offered[tick])
        if choice is Choice.SPOT and zone not in offered[tick]:
            raise ValueError(f"tick {tick}: spot in {zone!r}, which is not up")
        launches += choice is not Choice.WAIT and (choice, zone) != (standing.on, standing.zone)
        dollars += task.price(price(task, choice, zone, offered[tick]))
        standing = advance(task, standing, choice, zone)
        if standing.done:
            return Rehearsal(dollars, False, tick + 1, launches)
    return Rehearsal(dollars, True, task.ticks, launches)


def price(task: Task, choice: Choice, zone: str, offered: Offered) -> float:
    """Dollars an hour."""
    if choice is Choice.SPOT:
        return offered[zone]
    return task.on_demand if choice is Choice.ON_DEMAND else 0.0


def offers_of(traces: Sequence[Trace], spot: float | None = None) -> tuple[Offered, ...]:
    """What zones offered, by tick, for as long as all traces last. `spot` is the price in dollars an hour where a trace has none."""
    ticks = min(len(trace) for trace in traces)
    found: list[dict[str, float]] = [{} for _ in range(ticks)]
    for trace in traces:
        if trace.price is None and spot is None:
            raise ValueError(f"{trace.zone}: no price was recorded, and none is given")
        for tick in trace.up[:ticks].nonzero()[0]:
            found[tick][trace.zone] = float(trace.price[tick]) if trace.price is not None else float(spot or 0.0)
    return tuple(found)
