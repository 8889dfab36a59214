"""Small scenarios to replay: a policy, two zones of spot, on-demand behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlray.govern.snapshot import Watched
from mlray.ledger.entry import Cause
from mlray.market.offer import Offer
from mlray.market.spec import Capacity
from mlray.market.trace import Trace
from mlray.policy.spec import Policy
from mlray.serve.scaling import Pace
from mlray.simulate.load import Load
from mlray.simulate.scenario import Notices, Scenario, Served
from mlray.simulate.service import Service
from mlray.units import Price

SPOT_A = Offer("spot-a", "a", Capacity.SPOT, Price.parse("$0.36/h"), 4)
SPOT_B = Offer("spot-b", "b", Capacity.SPOT, Price.parse("$0.36/h"), 4)
DEAR = Offer("dear", "a", Capacity.ON_DEMAND, Price.parse("$1.20/h"), 4)
SILENT = Notices(0.0, 0.0)


def policy(min_ready: int = 2, replicas: str = "2..4", budget: str = "$80", name: str = "flights", **more: Any) -> Policy:
    """One that governs the deployment and the jobs called flights."""
    promise = {"min_ready": min_ready, "replicas": replicas, "target": "99%"} | more.pop("availability", {})
    budgeted = {"amount": budget, "every": "1d"} | more.pop("money", {})
    governs = {"deployments": ["flights*"], "jobs": ["flights*"]}
    return Policy.model_validate({"kind": "policy", "name": name, "governs": governs, "availability": promise, "budget": budgeted, **more})


def trace(zone: str, nodes: Sequence[int], tick_s: float = 60.0, price: Sequence[float] | None = None) -> Trace:
    return Trace(zone, tick_s, np.array(nodes, np.int64), None if price is None else np.array(price, np.float64))


def served(under: Policy, rps: float = 1.0, name: str = "flights", market: str = "any", per_node: int = 1) -> Served:
    """One replica takes a node, and answers 40 requests a second."""
    watched = Watched(name, under, 4.0 / per_node, market, Cause("serve", name, under.name, f"{name}-1"))
    return Served(watched, Load(np.array([rps]), 60.0), Service(0.1, 4.0, 1.0, 10.0), Pace(2.0, 2.0, 30.0), 10.0, per_node)


def scenario(under: Policy, traces: Sequence[Trace], minutes: int, **changes: Any) -> Scenario:
    offers = changes.pop("offers", (SPOT_A, SPOT_B, DEAR))
    serving = changes.pop("serving", (served(under),))
    parts: Mapping[str, Any] = {"notices": SILENT, "days": minutes / 1440} | changes
    return Scenario((under,), offers, tuple(traces), serving, **parts)
