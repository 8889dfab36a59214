"""Tally: what everything that is seen costs in an hour, added up once for a whole plan.

Sums are in micro-dollars an hour, as floats: they are compared, never booked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from mlray.govern.snapshot import NodeSeen, Replica, Running, Seen, Snapshot, TrialState
from mlray.market.offer import Offer, cheapest
from mlray.units import Money

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Cost:
    """One deployment: `hourly` is the mean of a replica (None where any price is unknown), `burn` what all of them cost."""

    hourly: Money | None
    running: int
    burn: float


@dataclass(frozen=True, slots=True)
class Tally:
    """`serving` by deployment, `runs` by run (None: no price), `burn` by policy, `unpriced` names the policies of work without a price."""

    serving: Mapping[str, Cost]
    runs: Mapping[str, float | None]
    burn: Mapping[str, float]
    unpriced: frozenset[str]


def tally(snapshot: Snapshot) -> Tally:
    """Replicas, trials and nodes are walked once each."""
    rates: dict[tuple[int, float], float] = {}
    starts: dict[tuple[str, float], Money | None] = {}
    serving = {s.watched.deployment: _cost(s, snapshot.offers, rates, starts) for s in snapshot.deployments}
    runs = {run.run: _run(run) for run in snapshot.runs}
    burn: defaultdict[str, float] = defaultdict(float)
    unpriced: set[str] = set()
    for seen in snapshot.deployments:
        cost = serving[seen.watched.deployment]
        unpriced.update(seen.policies if cost.hourly is None else ())
        for name in seen.policies:
            burn[name] += cost.burn
    for run in snapshot.runs:
        rate = runs[run.run]
        unpriced.update(run.policies if rate is None else ())
        for name in run.policies:
            burn[name] += rate or 0.0
    for cluster, rate in idle_rates(snapshot.nodes, snapshot.cluster_policies):
        for name in snapshot.cluster_policies[cluster]:
            burn[name] += rate
    return Tally(serving, runs, burn, frozenset(unpriced))


def hours(until: datetime, now: datetime) -> float:
    return max(0.0, (until - now).total_seconds() / HOUR_S)


def trials_burn(run: Running, paused: frozenset[str] = frozenset()) -> float:
    """What the run costs an hour with these trials paused as well; an unknown price counts nothing here."""
    going = (t.hourly.micros for t in run.trials if t.hourly and t.state == TrialState.RUNNING and t.id not in paused)
    return float(sum(going)) + (run.hourly.micros if run.hourly else 0)


def _run(run: Running) -> float | None:
    unknown = run.hourly is None or any(t.hourly is None for t in run.trials if t.state == TrialState.RUNNING)
    return None if unknown else trials_burn(run)


def _cost(
    seen: Seen, offers: tuple[Offer, ...], rates: dict[tuple[int, float], float], starts: dict[tuple[str, float], Money | None]
) -> Cost:
    """The mean of the replicas that run; before any does, the price of one on the cheapest offer."""
    if not seen.replicas:
        market, cpus = seen.watched.market, seen.watched.cpus
        if (market, cpus) not in starts:
            starts[market, cpus] = _first(offers, market, cpus)
        return Cost(starts[market, cpus], 0, 0.0)
    return _of(seen.replicas, rates)


# Replicas that are the very same as at an earlier look cost what they did. Kept with what they are, so that no other takes their number.
_KNOWN: dict[int, tuple[tuple[Replica, ...], Cost]] = {}
MOST_KNOWN = 50_000


def _of(replicas: tuple[Replica, ...], rates: dict[tuple[int, float], float]) -> Cost:
    found = _KNOWN.get(id(replicas))
    if found is not None and found[0] is replicas:
        return found[1]
    total, known = 0.0, 0
    for replica in replicas:
        if replica.offer is not None:
            total, known = total + _rate(replica, replica.offer, rates), known + 1
    mean = Money(int(total / known)) if known == len(replicas) else None
    if len(_KNOWN) >= MOST_KNOWN:
        _KNOWN.clear()
    cost = Cost(mean, len(replicas), total)
    _KNOWN[id(replicas)] = (replicas, cost)
    return cost


def _rate(replica: Replica, offer: Offer, rates: dict[tuple[int, float], float]) -> float:
    """By the identity of the offer: hashing one costs more than the price."""
    key = (id(offer), replica.cpus)
    rate = rates.get(key)
    if rate is None:
        rate = rates[key] = offer.price.per_hour.micros * offer.share(replica.cpus)
    return rate


def _first(offers: tuple[Offer, ...], market: str, cpus: float) -> Money | None:
    offer = cheapest(offers, market, cpus)
    return None if offer is None else offer.price.over(3600, offer.share(cpus))


def idle_rates(nodes: Iterable[NodeSeen], governed: Container[str]) -> Iterable[tuple[str, float]]:
    """What the nodes of each cluster cost an hour beyond the work on them: heads, idle and starting nodes."""
    rates: defaultdict[str, float] = defaultdict(float)
    for node in nodes if governed else ():
        if node.cluster in governed and node.offer is not None:
            rates[node.cluster] += node.offer.price.per_hour.micros * (1.0 - node.offer.share(node.busy_cpus))
    return rates.items()
