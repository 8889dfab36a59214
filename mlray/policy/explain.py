"""Any decision -> the sentence people read."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from mlray.ledger.balance import Balance
from mlray.ledger.bounds import Tightest
from mlray.policy.bounds import Bounds, By
from mlray.policy.claim import Claim
from mlray.policy.schedule import InForce, in_force
from mlray.policy.spec import Policy
from mlray.units import ZERO


@lru_cache(maxsize=1024)
def moment(at: datetime) -> str:
    """`2026-11-23 00:00 UTC`: to the minute, the date included, because windows may be days long."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def left_of(balance: Balance, stage: str, found: Tightest) -> str:
    """`$0.20 of $4.00 left for tune until ...`, or for whatever else is the tightest bound on work of the stage."""
    whom = {stage: f"left for {stage}", "budget": "left for all its work"}.get(found.bound, f"left under the {found.bound}")
    return f"{found.left} of {found.most} {whom} until {moment(balance.window_end)}"


def sentences(claim: Claim, now: datetime) -> tuple[str, ...]:
    """All there is to say of one policy: its balance, its limits, a forecast that passes it, and the window that holds."""
    policy, balance = claim.policy, claim.balance
    if balance is None:
        return (f"the balance of policy {policy.name} cannot be read",)
    forecast = (forecast_sentence(policy.name, balance),) if balance.forecast > balance.amount else ()
    schedule = (schedule_sentence(policy, in_force(policy, now)),) if policy.windows else ()
    held = (f"policy {policy.name} admits no jobs now",) if claim.held else ()
    return (balance_sentence(policy.name, balance), *limit_sentences(balance), *forecast, *schedule, *held)


def balance_sentence(policy: str, balance: Balance) -> str:
    """What a policy spent and holds in this window, with what each stage that spends has left."""
    stages = ", ".join(f"{part.stage} {balance.left(part.stage)} of {part.most}" for part in balance.by_stage)
    held = f", {balance.reserved} held by running jobs" if balance.reserved else ""
    carried = f" ({balance.carried} carried over)" if balance.carried else ""
    return f"policy {policy} spent {balance.spent} of {balance.amount}{carried}{held}; left until {moment(balance.window_end)}: {stages}"


def limit_sentences(balance: Balance) -> tuple[str, ...]:
    """One for each limit, and one for the hour where a rate is set."""
    limits = tuple(f"the limit on {limit.scope} has {max(ZERO, limit.free)} of {limit.most} left" for limit in balance.by_limit)
    hour = (f"this hour has {balance.hour.left} of {balance.hour.most} left",) if balance.hour else ()
    return limits + hour


def forecast_sentence(policy: str, balance: Balance) -> str:
    """How fast the money goes, and where that ends."""
    if not balance.burn:
        return f"policy {policy} spent nothing in the last hour"
    end, over = moment(balance.window_end), balance.forecast - balance.amount
    passes = f", {over} more than its {balance.amount}" if over.micros > 0 else f" of {balance.amount}"
    return f"policy {policy} spends {balance.burn}/h; if that goes on it will have spent {balance.forecast} on {end}{passes}"


def schedule_sentence(policy: Policy, now: InForce) -> str:
    """Which window holds and what is promised until when."""
    a = now.availability
    who = f"window {now.window} of policy {policy.name} holds" if now.window else f"no window of policy {policy.name} holds"
    promised = "scaled to zero" if now.to_zero else f"{a.min_ready} ready {a.target} of the time, {a.replicas} replicas"
    return f"{who}{f' until {moment(now.until)}' if now.until else ''}: {promised}"


def bounds_sentences(bounds: Bounds) -> tuple[str, ...]:
    """Each bound on any work, with the policy that sets it."""
    b = bounds
    left = "the balance cannot be read" if b.left.value is None else f"{b.left.value} left"
    return _told(
        (left, b.left),
        (f"at most {b.rate.value}" if b.rate else "", b.rate),
        *((f"data read only in {', '.join(regions.value)}", regions) for regions in b.regions),
        (f"no columns above {b.highest_class.value}" if b.highest_class else "", b.highest_class),
        (f"data kept {b.keep.value} at most" if b.keep else "", b.keep),
    )


def promise_sentences(bounds: Bounds) -> tuple[str, ...]:
    """Each bound on the replicas of a deployment, with the policy that sets it."""
    b = bounds
    return _told(
        (f"{b.min_ready.value} promised ready", b.min_ready),
        (f"target {b.target.value}", b.target),
        (f"at least {_replicas(b.least.value)}", b.least),
        (f"at most {_replicas(b.most.value)}", b.most),
        (f"{b.survive.value} may be lost at once" if b.survive.value else "", b.survive),
        (f"spread over {b.zones.value} zones" if b.zones.value > 1 else "", b.zones),
        (f"a first replica within {b.cold_start.value}" if b.cold_start else "", b.cold_start),
        (f"at most {b.spot_share.value} on spot" if b.spot_share.value.fraction < 1 else "", b.spot_share),
        (f"{b.on_demand.value} always on demand" if b.on_demand.value else "", b.on_demand),
        *((f"spot only in {', '.join(zones.value)}", zones) for zones in b.spot_zones),
    )


def _replicas(count: int) -> str:
    return "1 replica" if count == 1 else f"{count} replicas"


def _told(*said: tuple[str, By[Any] | None]) -> tuple[str, ...]:
    return tuple(f"{what} (policy {by.policy})" for what, by in said if what and by)
