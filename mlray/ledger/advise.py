"""Advice: what could cost less, by how much a month, and what in the ledger says so. No advice without evidence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mlray.ledger.receipt import Receipt, Row
from mlray.market.offer import Offer
from mlray.market.spec import Capacity
from mlray.units import ZERO, Money

# What `advise` is told of use: rows by these names.
USED = ("cluster", "node-type", "capacity", "stage", "state", "waste")
BUSY = ("cluster", "node-type", "node", "hour", "stage")
MONTH_DAYS = 365 / 12
# Work that is given up and done again where its node is taken away; serving has a promise to keep.
RESTARTS = ("ingest", "tune")
LEAST, LEAST_HOURS = Money.parse("$1"), 10.0
IDLE_SHARE, BUSY_SHARE = 0.2, 0.6

Kind = tuple[str, str]  # a cluster and a node type


@dataclass(frozen=True, slots=True)
class Advice:
    """`monthly` is what it would save in a month like the time looked at, at most; `evidence` holds the numbers it rests on."""

    kind: str
    subject: str
    what: str
    monthly: Money
    evidence: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What was used over some days (a receipt by USED), how busy nodes were (one by BUSY), what each cluster may buy now."""

    used: Receipt
    busy: Receipt
    offers: Mapping[str, Sequence[Offer]]
    days: float


def advise(facts: Facts) -> tuple[Advice, ...]:
    """Dearest first. Only what saves a dollar a month or more, after ten node-hours or more of evidence."""
    kinds = sorted({(row.group[0], row.group[1]) for row in facts.used.rows if row.group[1]})
    found = [one for kind in kinds for one in (_idle(facts, kind), _spot(facts, kind), _cheaper(facts, kind)) if one]
    return tuple(sorted((one for one in found if one.monthly >= LEAST), key=lambda one: (-one.monthly.micros, one.subject)))


def _idle(facts: Facts, kind: Kind) -> Advice | None:
    """Nodes that are paid for and stand idle."""
    every = _whole(_of(facts, kind))
    idle = _whole(row for row in _of(facts, kind) if row.group[5] == "idle")
    hours = idle.node_seconds / 3600
    if every.amount <= ZERO or hours < LEAST_HOURS or idle.amount.micros < IDLE_SHARE * every.amount.micros:
        return None
    what = "stop idle nodes sooner, or keep fewer: idle_timeout_s and min_workers of the type, or clusters.idle_stop of the policy"
    evidence = f"{idle.amount} of {every.amount} ({idle.amount / every.amount:.0%}) paid for {hours:,.0f} idle node-hours in {_days(facts)}"
    return Advice("idle", _named(kind), what, _monthly(facts, idle.amount), evidence)


def _spot(facts: Facts, kind: Kind) -> Advice | None:
    """Work that may be interrupted and ran on demand, while spot nodes as large are offered."""
    own, all_offers = _offer(facts, kind), facts.offers.get(kind[0], ())
    work = _whole(row for row in _of(facts, kind) if row.group[2] == Capacity.ON_DEMAND and row.group[3] in RESTARTS)
    fitting = [o for o in all_offers if own and o.capacity == Capacity.SPOT and o.cpus >= own.cpus and o.price < own.price]
    if not own or not fitting or work.node_seconds < LEAST_HOURS * 3600:
        return None
    offer = min(fitting, key=lambda o: (o.price, o.node_type))
    lost, losses = _lost_on_spot(facts, kind[0], offer)
    saved = 1 - offer.price.per_hour / own.price.per_hour * (1 + lost)
    what = f"let {' and '.join(RESTARTS)} jobs use {offer.node_type} (spot, {offer.price}) instead of {own.node_type} ({own.price})"
    evidence = f"{work.amount} for {work.node_seconds / 3600:,.0f} node-hours of work that restarts, in {_days(facts)}; {losses}"
    return Advice("spot", _named(kind), what, _monthly(facts, work.amount * max(0.0, saved)), evidence)


def _lost_on_spot(facts: Facts, cluster: str, offer: Offer) -> tuple[float, str]:
    """What was lost for a dollar of spot work: as measured here, else as the cluster file says, else nothing is known."""
    spot = _whole(row for row in facts.used.rows if row.group[0] == cluster and row.group[2] == Capacity.SPOT and row.group[3] in RESTARTS)
    if spot.node_seconds >= LEAST_HOURS * 3600 and spot.work > ZERO:
        return spot.lost / spot.work, f"{spot.lost / spot.amount:.1%} of spot work here was lost"
    if offer.interruptions:
        share = offer.interruptions.recovery.seconds / offer.interruptions.every.seconds
        return share, f"interrupted every {offer.interruptions.every} by the cluster file"
    return 0.0, "how much spot work is lost here is not known yet"


def _cheaper(facts: Facts, kind: Kind) -> Advice | None:
    """The same capacity from a cheaper type or zone: one as large, or one that is large enough for the busiest hour."""
    own = _offer(facts, kind)
    work = _whole(row for row in _of(facts, kind) if row.group[3] != "cluster")
    if not own or not own.cpus or work.node_seconds < LEAST_HOURS * 3600:
        return None
    busiest = _busiest(facts, kind)
    needed = math.ceil(min(1.0, busiest) * own.cpus - 1e-6) if busiest <= BUSY_SHARE else own.cpus
    fitting = [o for o in facts.offers.get(kind[0], ()) if o.capacity == own.capacity and o.cpus >= max(1, needed) and o.price < own.price]
    if not fitting:
        return None
    offer = min(fitting, key=lambda o: (o.price, o.node_type))
    spent = _whole(_of(facts, kind)).amount
    smaller = offer.cpus < own.cpus
    where = f" in {offer.zone}" if offer.zone != own.zone else ""
    what = f"use {offer.node_type}{where} ({offer.cpus} CPUs, {offer.price}) instead of {own.node_type} ({own.cpus} CPUs, {own.price})"
    load = f"its busiest hour used {busiest:.0%} of a node" if smaller else "it is as large"
    evidence = f"{spent} for {work.node_seconds / 3600:,.0f} node-hours of work in {_days(facts)}; {load}"
    saved = 1 - offer.price.per_hour / own.price.per_hour
    return Advice("smaller" if smaller else "cheaper", _named(kind), what, _monthly(facts, spent * saved), evidence)


def _busiest(facts: Facts, kind: Kind) -> float:
    """The largest share of one node that work held for an hour, by the clock; 1 where nodes are not told apart."""
    nodes: dict[tuple[str, str], float] = {}
    for row in facts.busy.rows:
        cluster, node_type, node, hour, stage = row.group
        if (cluster, node_type) == kind and stage != "cluster":
            nodes[node, hour] = nodes.get((node, hour), 0.0) + row.node_seconds / 3600
    return 1.0 if not nodes or any(not node for node, _ in nodes) else max(nodes.values())


def _of(facts: Facts, kind: Kind) -> Iterable[Row]:
    return (row for row in facts.used.rows if row.group[:2] == kind)


def _offer(facts: Facts, kind: Kind) -> Offer | None:
    return next((o for o in facts.offers.get(kind[0], ()) if o.node_type == kind[1]), None)


def _whole(rows: Iterable[Row]) -> Row:
    return Receipt((), tuple(rows), ZERO).whole


def _monthly(facts: Facts, amount: Money) -> Money:
    return amount * (MONTH_DAYS / facts.days)


def _named(kind: Kind) -> str:
    return "/".join(part for part in kind if part)


def _days(facts: Facts) -> str:
    return f"{facts.days:.3g} days"
