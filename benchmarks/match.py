"""Which policies govern this work, and what room do they leave? Asked of an index, and by trying every policy.

    python benchmarks/match.py [--rounds 5]

Three sizes, each ten times the one before: 100 / 1,000 / 10,000 deployments under 10 / 100 / 1,000 policies, half of them by the beginning
of a name (`d0001-*`, `d0001?*`), a quarter by a name, a quarter by its end (`*-x0001`), and all by a team. `index_s` builds the index,
`first_s` asks it of every deployment for the first time, `again_s` once more; `each_s` tries every policy for each of a hundred
deployments, times what the rest would take, and must find the same. Then, in microseconds: a balance folded from ten charges, and the
allowance of one deployment under one, two and three policies, with another balance at each look. All in seconds of one processor, so that
what else runs does not count. The median of the rounds; the result is written beside this file.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from mlray.ledger.balance import balance
from mlray.ledger.entry import Cause, Charge, Usage
from mlray.market.spec import Interruptions
from mlray.policy.allowance import allow_under
from mlray.policy.claim import Claim
from mlray.policy.floor import Footing
from mlray.policy.match import Governance, governing
from mlray.policy.spec import Policy
from mlray.units import Duration, Money

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SIZES = (100, 1_000, 10_000)
TRIED = 100
LOOKS = 500
SERVE = Cause("serve", "d0001-x0001", "p0001", tags=(("team", "team1"),))
STANDS = Footing(Money.parse("$0.25"), 2, 1.0, Interruptions(every=Duration(7200), recovery=Duration(60)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    sizes = [measure(size, rounds) for size in SIZES]
    found = {
        "sizes": sizes,
        "first_growth": [round(b["first_s"] / a["first_s"], 1) for a, b in pairwise(sizes)],
        "balance_us": folded(rounds),
        "allow_us": {str(n): allowed(n, rounds) for n in (1, 2, 3)},
        "python": platform.python_version(),
        "cpus": 2,
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def measure(size: int, rounds: int) -> dict[str, float]:
    policies = [policy(i) for i in range(size // 10)]
    asked = [(f"d{i:04d}-x{i * 3 % size:04d}", (("team", f"team{i * 7 % len(policies)}"),)) for i in range(size)]
    tried = asked[:: max(1, size // TRIED)]
    index: list[float] = []
    first: list[float] = []
    again: list[float] = []
    each: list[float] = []
    for _ in range(rounds):
        governance = Governance(policies)
        index.append(seconds(lambda: [Governance(policies)]))
        first.append(seconds(lambda held=governance: [held.of("serve", *one) for one in asked]))  # type: ignore[misc]
        again.append(seconds(lambda held=governance: [held.of("serve", *one) for one in asked]))  # type: ignore[misc]
        each.append(seconds(lambda: [governing(policies, "serve", name, dict(tags)) for name, tags in tried]) * len(asked) / len(tried))
    assert all(governance.of("serve", name, tags) == governing(policies, "serve", name, dict(tags)) for name, tags in tried)
    names = ("index_s", "first_s", "again_s", "each_s")
    medians = {name: round(statistics.median(times), 5) for name, times in zip(names, (index, first, again, each), strict=True)}
    return {"deployments": size, "policies": len(policies), **medians}


def policy(number: int) -> Policy:
    names = (f"d{number:04d}-*", f"d{number:04d}-x{number * 3:04d}", f"d{number:04d}?*", f"*-x{number:04d}")[number % 4]
    promise = {"min_ready": 2, "replicas": "1..6", "target": "99.9%"}
    return Policy.model_validate(
        {
            "kind": "policy",
            "name": f"p{number:04d}",
            "governs": {"deployments": [names], "teams": [f"team{number}"]},
            "availability": promise,
            "budget": {"amount": "$80", "every": "1d", "limits": [{"team": "team1", "most": "50%"}]},
        }
    )


def folded(rounds: int) -> float:
    charges = [Charge(str(i), NOON - timedelta(minutes=i), Money(1000 * i), SERVE, Usage("spot", "spot", 60)) for i in range(10)]
    budget = policy(1).budget
    return micros(lambda look: balance(budget, charges, NOON + timedelta(seconds=look)), rounds)


def allowed(policies: int, rounds: int) -> float:
    made = [policy(i) for i in range(policies)]
    looks = [
        [
            Claim(p, balance(p.budget, [Charge("c", NOON, Money(50_000_000 + 1000 * look), SERVE, Usage("spot", "spot", 60))], NOON))
            for p in made
        ]
        for look in range(LOOKS)
    ]
    return micros(lambda look: allow_under(looks[look], SERVE, STANDS, NOON), rounds)


def micros(work: Callable[[int], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        began = time.process_time()
        for look in range(LOOKS):
            work(look)
        times.append((time.process_time() - began) / LOOKS)
    return round(statistics.median(times) * 1e6, 1)


def seconds(work: Callable[[], list[object]]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
