"""How long does the governor think? One plan for many deployments, policies and replicas, and one look at which nothing changed.

    python benchmarks/plan.py [--rounds 5]

Three sizes, each ten times the one before: 100 / 1,000 / 10,000 deployments under 10 / 100 / 1,000 policies with 1,000 / 10,000 / 100,000
replicas, each on a node of its own (a tenth of the nodes are idle besides), and 10 / 100 / 1,000 searches of eight trials. Two of the
policies govern each deployment: one by name, one by its team. Money is short for a tenth of the policies, so that trials pause, ceilings
fall and people are told. `fresh` is a plan after which everything has changed (the first one: every floor is solved, every digest taken);
`steady` one at which almost nothing did. What is timed is `plan` alone: a snapshot in, a plan out. Then one tick's plan for a single
deployment with four replicas that stay as they are, as in a replay. Seconds are those of the CPU, so that a busy machine counts less;
the median of the rounds. The result is written beside this file.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from mlray.govern.actions import HoldJobs, Notify, SetAllowance
from mlray.govern.plan import Plan, plan
from mlray.govern.snapshot import NodeSeen, Replica, Running, Seen, Snapshot, TrialSeen, Watched
from mlray.ledger.balance import balance
from mlray.ledger.entry import Cause, Charge, Usage
from mlray.market.offer import Offer
from mlray.market.spec import Capacity, Interruptions
from mlray.policy.match import Governance
from mlray.policy.spec import Policy
from mlray.units import Duration, Money, Price

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SPOT = Offer("spot", "a", Capacity.SPOT, Price.parse("$0.97/h"), 4, Interruptions(every=Duration(14400), recovery=Duration(120)))
STEADY = Offer("on-demand", "b", Capacity.ON_DEMAND, Price.parse("$3.06/h"), 4)
SIZES = (100, 1_000, 10_000)
EACH = 10  # replicas of a deployment, and deployments of a policy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    sizes = [measure(size, rounds) for size in SIZES]
    found = {
        "sizes": sizes,
        "steady_growth": [round(b["steady_s"] / a["steady_s"], 1) for a, b in pairwise(sizes)],
        "one_deployment_us": round(one(rounds) * 1e6, 1),
        "python": platform.python_version(),
        "cpus": 2,
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def measure(size: int, rounds: int) -> dict[str, float | int]:
    first = world(size)
    fresh, planned = timed(lambda: plan(first))
    gc.collect()
    settled = after(first, planned)
    times = [timed(lambda: plan(settled))[0] for _ in range(rounds)]
    return {
        "deployments": size,
        "policies": len(first.policies),
        "replicas": sum(len(seen.replicas) for seen in first.deployments),
        "nodes": len(first.nodes),
        "trials": sum(len(run.trials) for run in first.runs),
        "actions": len(planned.actions),
        "fresh_s": round(fresh, 4),
        "steady_s": round(statistics.median(times), 4),
        "steady_actions": len(plan(settled).actions),
    }


def timed(work: Callable[[], Plan]) -> tuple[float, Plan]:
    gc.collect()
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def one(rounds: int) -> float:
    """Seconds for one plan of a single deployment, with another balance at each look, as the money goes."""
    start = world(1, replicas=4)
    looks = [snapshot_at(start, second) for second in range(0, 3600, 5)]
    settled = after(start, plan(start))
    looks = [replace(look, deployments=settled.deployments, told=settled.told) for look in looks]
    times = []
    for _ in range(rounds):
        began = time.process_time()
        for look in looks:
            plan(look)
        times.append((time.process_time() - began) / len(looks))
    return statistics.median(times)


def snapshot_at(start: Snapshot, second: int) -> Snapshot:
    now = NOON + timedelta(seconds=second)
    balances = {name: balance(p.budget, [spent(Money.dollars(1 + second / 3600))], now) for name, p in start.policies.items()}
    return replace(start, now=now, balances=balances)


def after(before: Snapshot, planned: Plan) -> Snapshot:
    """The world once the plan is carried out, its trials apart."""
    given = {a.deployment: a.allowance for a in planned.actions if isinstance(a, SetAllowance)}
    return replace(
        before,
        deployments=tuple(replace(s, allowance=given.get(s.watched.deployment, s.allowance)) for s in before.deployments),
        held=frozenset(a.policy for a in planned.actions if isinstance(a, HoldJobs)),
        told={a.key: NOON for a in planned.actions if isinstance(a, Notify)},
        runs=tuple(r for r in before.runs if not any(getattr(a, "run", "") == r.run for a in planned.actions)),
    )


def world(size: int, replicas: int = EACH) -> Snapshot:
    policies = {p.name: p for i in range(max(1, size // EACH)) for p in [policy(i, size)]}
    governance = Governance(policies.values())
    deployments = tuple(deployment(i, replicas, governance) for i in range(size))
    runs = tuple(search(i, governance) for i in range(size // EACH))
    nodes = tuple(
        NodeSeen(r.node, "local", r.offer, NOON, tenants=(s.watched.deployment,), busy_cpus=1.0) for s in deployments for r in s.replicas
    )
    idle = tuple(NodeSeen(f"idle{i}", "local", STEADY, NOON, idle_since=NOON) for i in range(len(nodes) // 10))
    return Snapshot(
        NOON,
        deployments,
        runs,
        nodes + idle,
        (SPOT, STEADY),
        {
            name: balance(p.budget, [spent(p.budget.amount * 0.99 if i % 10 == 0 else Money.dollars(5))], NOON)
            for i, (name, p) in enumerate(policies.items())
        },
        policies,
        cluster_policies={"local": tuple(p.name for p in governance.of("cluster", "local"))},
    )


def policy(number: int, size: int) -> Policy:
    """Each governs ten deployments by their names, and those of the team with its number."""
    return Policy.model_validate(
        {
            "kind": "policy",
            "name": f"p{number:04d}",
            "governs": {"deployments": [f"d{number:04d}-*"], "teams": [f"team{number}"], "clusters": ["local"] if number == 0 else []},
            "availability": {"min_ready": 2, "replicas": "2..40", "target": "99.9%"},
            "budget": {"amount": f"${1500 + number}", "every": "1d", "limits": [{"team": "team1", "most": "50%"}]},
        }
    )


def deployment(number: int, replicas: int, governance: Governance) -> Seen:
    name, team = f"d{number // EACH:04d}-{number % EACH}", f"team{number * 7 // EACH % max(1, len(governance.policies))}"
    cause = Cause("serve", name, f"p{number // EACH:04d}", tags=(("team", team),))
    watched = Watched(name, governance.policies[0], 1.0, "any", cause)
    stands = tuple(Replica(f"{name}/{i}", (SPOT, STEADY)[i % 4 == 3], 1.0, NOON, f"n-{name}-{i}") for i in range(replicas))
    return Seen(watched, stands, None, tuple(p.name for p in governance.of_cause(cause)))


def search(number: int, governance: Governance) -> Running:
    trials = tuple(TrialSeen(f"t{i}", (number * 31 + i * 17) % 97 / 10, Money.parse("$0.97")) for i in range(8))
    cause = Cause("tune", f"search{number}", f"p{number:04d}", f"run{number}")
    return Running(f"run{number}", cause, trials, reserved=Money.parse("$20"), policies=tuple(p.name for p in governance.of_cause(cause)))


def spent(amount: Money) -> Charge:
    return Charge("spent", NOON, amount, Cause("serve", "d", "p"), Usage("spot", "spot", 60))


if __name__ == "__main__":
    main()
