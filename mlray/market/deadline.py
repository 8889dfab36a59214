"""Deadline work: for each tick spot in a zone, on-demand, or wait. Never late where on-demand can be had, and as cheap as can be foreseen.

market = Market.learned(history, zones, tick_s)        # or no history at all
watch = Watch.fresh(market)
course = plan_work(task, market, prices)               # seconds; again when the deadline or the prices change
each tick:  watch = watch.seen(up)                     # which zones have spot now
            standing = taken(standing, zones that are up)
            decision = decide(course, watch, standing, prices of the zones that are up)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlray.market.guard import safe
from mlray.market.horizon import OFF, ON_DEMAND, Plan, plan
from mlray.market.steps import Choice, Standing, Task
from mlray.market.zones import Market, Watch


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do in the next tick; `expected` is what the rest would cost in dollars, by the plan (0 where the guard decided alone)."""

    choice: Choice
    zone: str
    reason: str
    expected: float = 0.0


@dataclass(frozen=True, slots=True)
class _Option:
    choice: Choice
    zone: str
    cost: float


def plan_work(task: Task, market: Market, prices: Mapping[str, float]) -> Plan:
    """The plan for work that may run on spot in the market's zones; `prices` are dollars an hour, by zone."""
    return plan(task, market.together, market.price(prices), market.lost)


def decide(course: Plan, watch: Watch, standing: Standing, prices: Mapping[str, float]) -> Decision:
    """The cheapest safe choice. `prices` names the zones where spot is up now, in dollars an hour; `standing` is as `taken` left it."""
    task = course.task
    if standing.done:
        return Decision(Choice.WAIT, "", "the work is done")
    options = _options(course, watch, standing, prices)
    fits = [option for option in options if safe(task, standing, option.choice, option.zone)]
    if not fits:
        return _last_resort(task, standing)
    if len(fits) == 1 and fits[0].choice is Choice.ON_DEMAND:
        return Decision(Choice.ON_DEMAND, "", _forced(task, standing))
    best = min(fits, key=lambda option: option.cost)
    return Decision(best.choice, best.zone, _reason(task, standing, best, fits), best.cost)


def _options(course: Plan, watch: Watch, standing: Standing, prices: Mapping[str, float]) -> list[_Option]:
    task, state, weights = course.task, watch.together.place, watch.together.weights
    time, spare = standing.time, standing.spare

    def after(machine: int, less: float) -> float:
        return course.value(time, weights, state, machine, spare - less)

    stays = standing.on is Choice.ON_DEMAND
    options = [
        _Option(Choice.WAIT, "", after(OFF, 1.0)),
        _Option(Choice.ON_DEMAND, "", task.price(task.on_demand) + after(ON_DEMAND, standing.pending if stays else task.delay)),
    ]
    if not prices:
        return options
    again = max(after(OFF, 0.0) - after(course.machine(0.0), 0.0), task.delay * task.price(course.spot))
    rates = {zone: task.price(price) + again / watch.life(zone) for zone, price in prices.items()}
    best = min(rates, key=lambda zone: rates[zone])

    def on_spot(zone: str, pending: float) -> float:
        return task.price(prices[zone]) + after(course.machine(max(pending - 1, 0.0)), min(pending, 1.0))

    if standing.zone in prices:
        dearer = (rates[standing.zone] - rates[best]) * min(watch.life(best), standing.left)
        options.append(_Option(Choice.SPOT, standing.zone, on_spot(standing.zone, standing.pending) + dearer))
    if best != standing.zone:
        options.append(_Option(Choice.SPOT, best, on_spot(best, task.delay)))
    return options


def _hours(task: Task, ticks: float) -> str:
    return f"{ticks * task.tick_s / 3600:.1f} h"


def _last_resort(task: Task, standing: Standing) -> Decision:
    """Where nothing is sure any more: the deadline was moved, or more was lost than the margin. Spot at work is then the best hope."""
    said = f"{_hours(task, standing.left)} of work are left and {_hours(task, standing.time)} until the deadline"
    if standing.on is Choice.SPOT:
        return Decision(Choice.SPOT, standing.zone, f"{said}: only spot that is at work already can still be in time")
    return Decision(Choice.ON_DEMAND, "", f"{said}: on-demand is the fastest way, and may be late")


def _forced(task: Task, standing: Standing) -> str:
    left, spare = _hours(task, standing.left), _hours(task, standing.spare)
    return f"{left} of work are left and {spare} to spare: only on-demand is still sure to be in time"


def _reason(task: Task, standing: Standing, best: _Option, fits: list[_Option]) -> str:
    """Such as: spot in a: the rest is expected to cost $41.20, waiting now $41.90, on-demand now $43.00; 30 h of work, 11 h to spare."""
    names = {Choice.WAIT: "waiting now", Choice.ON_DEMAND: "on-demand now", Choice.SPOT: "spot in"}
    others = sorted((option for option in fits if option is not best), key=lambda option: option.cost)
    said = "".join(f", {f'{names[o.choice]} {o.zone}'.strip()} ${o.cost:.2f}" for o in others)
    verb = {Choice.WAIT: "wait for spot", Choice.ON_DEMAND: "on-demand", Choice.SPOT: f"spot in {best.zone}"}[best.choice]
    work = f"{_hours(task, standing.left)} of work, {_hours(task, standing.spare)} to spare"
    return f"{verb}: the rest is expected to cost ${best.cost:.2f}{said}; {work}"
