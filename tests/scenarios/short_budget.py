"""A budget that runs out while a search and a deployment spend from it: declared once, for the live cluster and for the simulated one.

Two trials of a search and two replicas share a budget of $10,000 for thirty days. Then other work spends all of it at once. The governor
admits no more jobs, pauses both trials, the one of less value first, leaves the deployment its floor and no room above it, and tells
people once. Nothing more is spent on the search; the floor is the owner's promise and goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from mlray.govern.journal import Line
from mlray.ledger.entry import Cause
from mlray.policy.spec import Policy
from mlray.units import Money

DEPLOYMENT, SEARCH, RUNS_OUT = "flights", "short-tune", Money.parse("$10000")
CPUS, TRIALS, REPLICAS = 0.5, 2, 2
POLICY = {
    "kind": "policy",
    "name": "short",
    "governs": {"jobs": ["short-*"], "deployments": [DEPLOYMENT]},
    "availability": {"min_ready": 1, "replicas": "1..4", "target": "99.9%"},
    "budget": {
        "amount": str(RUNS_OUT),
        "every": "30d",
        "alerts": {"at": [], "forecast": False},
        "when_short": {"serve": "keep-floor"},
    },
}
# Who spends it: another job under the same policy, in one charge.
OTHER = Cause("ingest", "short-other", "short", "short-other-1")
# What the governor does about it, in this order: the kind of action, and what it is about.
STORY = (
    "HoldJobs short",
    "PauseTrial",
    "PauseTrial",
    "SetAllowance flights 2..2 spent",
    "Notify short spent",
    "Notify flights spent",
)


def policy() -> Policy:
    return Policy.model_validate(POLICY)


def story(lines: Iterable[Line]) -> tuple[str, ...]:
    """What was done, without what differs from run to run: names of runs, and which trial was worth less."""
    return tuple(_told(line) for line in lines if line.policy == "short")


def values(lines: Iterable[Line]) -> list[float]:
    """What the paused trials were worth per dollar, in the order in which they were paused."""
    told = (line.reason for line in lines if line.action == "PauseTrial")
    return [float(reason.partition("worth ")[2].partition(" per dollar")[0]) for reason in told]


def _told(line: Line) -> str:
    numbers = json.loads(line.numbers)
    match line.action:
        case "PauseTrial" | "ResumeTrial":
            return line.action
        case "SetAllowance":
            room = numbers["allowance"]
            return f"{line.action} {line.subject} {room['floor']}..{room['ceiling']} {room['bound']}"
        case "HoldJobs":
            return f"{line.action} {line.policy}"
        case "Notify":
            return f"{line.action} {line.subject} {numbers['bound']}"
    return f"{line.action} {line.subject}"
