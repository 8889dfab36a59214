"""How long does it take to replay days of governing, and does the time grow with the days and replicas?

    python benchmarks/replay.py [--rounds 3]

Three lengths (8, 15 and 30 days of 50 replicas) and three sizes (13, 25 and 50 replicas for 30 days), in ticks of 60 s, on a
generated market of four zones and a diurnal load; then 30 days of 50 replicas on the recorded zones of us-east-1 in
../shared/traces/aws-2023-02, where that folder is there. Every tick the live governor looks, plans, rechecks and acts, the
autoscaler decides, nodes are placed, requests answered, and every node-second charged. One process, one thread. Two figures a
case: seconds by the clock, and CPU seconds, which a busy machine does not stretch as much; both are the median of the rounds.
The result is written beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from mlray.govern.snapshot import Watched
from mlray.ledger.entry import Cause
from mlray.market.generate import region
from mlray.market.offer import Offer
from mlray.market.spec import Capacity
from mlray.market.store import read_traces
from mlray.market.trace import Trace
from mlray.market.weather import Weather
from mlray.policy.spec import Policy
from mlray.serve.scaling import Pace
from mlray.simulate.assembly import stepped
from mlray.simulate.load import shape
from mlray.simulate.replay import replay
from mlray.simulate.report import report
from mlray.simulate.scenario import Scenario, Served
from mlray.simulate.service import Service
from mlray.units import Price

RECORDED = Path(__file__).parents[2] / "shared/traces/aws-2023-02"
SIZES = [(8, 50), (15, 50), (30, 50), (30, 13), (30, 25)]
ZONES = ("zone-a", "zone-b", "zone-c", "zone-d")
SPOT, ON_DEMAND = Price.parse("$0.9731/h"), Price.parse("$3.06/h")


def scenario(days: int, replicas: int, traces: Sequence[Trace]) -> Scenario:
    """`replicas` are what the load wants at its busiest; the policy allows a fifth more."""
    least, most = max(1, replicas // 2), replicas + replicas // 5
    policy = Policy.model_validate(
        {
            "kind": "policy",
            "name": "large",
            "governs": {"deployments": ["large"]},
            "availability": {"min_ready": least, "replicas": f"{least}..{most}", "target": "99.9%"},
            "budget": {"amount": f"${round(replicas * 24 * ON_DEMAND.per_hour.usd)}", "every": "day"},
        }
    )
    zones = sorted({trace.zone for trace in traces})
    spot = [Offer(f"spot-{zone}", zone, Capacity.SPOT, SPOT, 8) for zone in zones]
    steady = [Offer(f"on-demand-{zone}", zone, Capacity.ON_DEMAND, ON_DEMAND, 8) for zone in zones]
    load = shape("diurnal", replicas * 20 / 1.75, days, np.random.default_rng(2))
    watched = Watched("large", policy, 8.0, "any", Cause("serve", "large", "large", "large-1"))
    served = Served(watched, load, Service(), Pace(2.0, 2.0, 30.0))
    return Scenario((policy,), (*spot, *steady), tuple(traces), (served,), days=float(days), seed=1)


def generated(days: int, replicas: int) -> tuple[Trace, ...]:
    """As `mlray simulate` makes them where no trace is given."""
    return tuple(map(stepped, region(ZONES, days * 288 + 1, 300.0, np.random.default_rng(1), Weather(nodes=replicas))))


def measure(days: int, replicas: int, traces: Sequence[Trace], rounds: int) -> dict[str, Any]:
    walls, cpus, found = [], [], None
    for _ in range(rounds):
        declared = scenario(days, replicas, traces)
        wall, cpu = time.perf_counter(), time.process_time()
        played = replay(declared)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
        found = report(played)
    assert found is not None
    (kept,) = found.serving
    return {
        "days": days,
        "replicas": replicas,
        "seconds": round(statistics.median(walls), 2),
        "cpu_seconds": round(statistics.median(cpus), 2),
        "cpu_us_a_tick": round(1e6 * statistics.median(cpus) / declared.ticks),
        "ticks": declared.ticks,
        "decisions": sum(count for _, count in found.decided),
        "spent_usd": round(found.spent.usd, 2),
        "of_all_on_demand": round(found.relative or 0.0, 4),
        "ready": kept.available,
        "interruptions": kept.interruptions,
    }


def main(rounds: int) -> None:
    cases = [measure(days, replicas, generated(days, replicas), rounds) for days, replicas in SIZES]
    recorded: Any = f"{RECORDED.name} is not here"
    if RECORDED.is_dir():
        traces = [trace for trace in read_traces(RECORDED) if trace.zone.startswith("us-east-1")]
        # One node was recorded for each zone: here a zone that had it has a quarter of the replicas, one and a half times over.
        wide = [Trace(t.zone, t.tick_s, t.nodes * 19, t.price, t.node_type, t.start) for t in traces]
        recorded = measure(30, 50, wide, rounds)
    result = {
        "question": "how long does it take to replay days of governing?",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}",
        "rounds": rounds,
        "cases": cases,
        "recorded": recorded,
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    main(parser.parse_args().rounds)
