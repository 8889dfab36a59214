"""What tests of the governor start from: policies, offers, deployments, searches, and a snapshot of them at noon."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from mlray.govern.snapshot import NodeSeen, Replica, Running, Seen, Snapshot, TrialSeen, TrialState, Watched
from mlray.ledger.balance import Balance, balance
from mlray.ledger.entry import Cause, Charge, Entry, Reservation, Usage
from mlray.market.offer import Offer
from mlray.market.spec import Capacity, Interruptions
from mlray.policy.allowance import Allowance, Bound
from mlray.policy.spec import Policy
from mlray.units import Duration, Money, Price

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SPOT = Offer("spot", "a", Capacity.SPOT, Price.parse("$1/h"), 2, Interruptions(every=Duration(14400), recovery=Duration(30)))
STEADY = Offer("on-demand", "b", Capacity.ON_DEMAND, Price.parse("$3/h"), 2)
OPEN = Allowance(2, 4, 1.0, "before", Bound.OPEN)


def policy(amount: str = "$20", when_short: str = "keep-floor", min_ready: int = 1, name: str = "flights", **more: Any) -> Policy:
    """Without alerts, of which all that was spent at noon would make a forecast, unless the budget names some."""
    alerts = {"at": [], "forecast": False}
    budget = {"amount": amount, "every": "1d", "when_short": {"serve": when_short}, "alerts": alerts, **more.pop("budget", {})}
    return Policy.model_validate(
        {
            "kind": "policy",
            "name": name,
            "governs": {"deployments": ["*"], "jobs": ["*"], "clusters": ["*"]},
            "availability": {"min_ready": min_ready, "replicas": "1..4", "target": "99.9%"},
            "budget": budget,
            **more,
        }
    )


def paid(amount: str, stage: str = "serve", job: str = "flights") -> Charge:
    return Charge(f"{stage}/{job}/{amount}", NOON, Money.parse(amount), Cause(stage, job, "flights"), Usage("spot", "spot", 60))


def reserved(run: str, amount: str) -> Reservation:
    return Reservation(f"reserve/{run}", NOON, Money.parse(amount), search_cause(run))


def search_cause(run: str) -> Cause:
    return Cause("tune", f"{run}-tune", "flights", run)


def seen(name: str = "flights", running: int = 2, before: Allowance | None = OPEN, offer: Offer | None = SPOT, *policies: str) -> Seen:
    watched = Watched(name, policy(), 0.5, "any", Cause("serve", name, "flights"))
    replicas = tuple(Replica(f"{name}{i}", offer, 0.5, NOON - timedelta(hours=1)) for i in range(running))
    return Seen(watched, replicas, before, policies or ("flights",))


def trial(id: str, value: float, hourly: str | None = "$0.50", paused_s: float | None = None) -> TrialSeen:
    """Running, or paused for so many seconds."""
    state = TrialState.RUNNING if paused_s is None else TrialState.PAUSED
    since = None if paused_s is None else NOON - timedelta(seconds=paused_s)
    return TrialSeen(id, value, None if hourly is None else Money.parse(hourly), state, since)


def search(run: str, *trials: TrialSeen, reserved: str | None = None, policies: tuple[str, ...] = ("flights",)) -> Running:
    held = None if reserved is None else Money.parse(reserved)
    return Running(run, search_cause(run), trials, reserved=held, policies=policies)


def node(id: str, offer: Offer | None = STEADY, tenants: tuple[str, ...] = (), idle_s: float | None = None, **more: Any) -> NodeSeen:
    since = None if idle_s is None else NOON - timedelta(seconds=idle_s)
    return NodeSeen(
        id, "local", offer, NOON - timedelta(hours=2), tenants=tenants, busy_cpus=1.0 if tenants else 0.0, idle_since=since, **more
    )


def snapshot(*deployments: Seen, under: tuple[Policy, ...] = (policy(),), entries: tuple[Entry, ...] = (), **more: Any) -> Snapshot:
    """`entries` count against every policy."""
    balances: dict[str, Balance | None] = {p.name: balance(p.budget, entries, NOON) for p in under}
    balances |= more.pop("balances", {})
    return Snapshot(NOON, deployments, offers=(SPOT, STEADY), balances=balances, policies={p.name: p for p in under}, **more)
