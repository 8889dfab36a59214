"""What does work with a deadline cost on spot, above what it would cost had the future been known?

    python benchmarks/spot_deadline.py [--part single many bare own] [--starts 8] [--choose]

Traces of real spot markets in ../shared/traces (Wu et al., Can't Be Late, NSDI 2024). Everything is learned from the earlier half of each
series, and reported on the later half alone. `--choose` is what structure and constants were chosen with: it learns from one quarter of
the earlier half and reports on the other, both ways, and never reads the later half.

Rows, all in the same replay: on-demand; greedy; Uniform Progress as its authors coded it; ours, whose belief has watched the market
until the work began; `unwatched`, ours with a belief that begins with the work; `no_history`, ours with nothing learned at all. Each
is measured against the exact optimum of whoever knows the future. Windows of one series overlap: its runs are not independent.
Part `bare` adds the last two rows, to fewer runs in one zone. Part `own` replays ours on markets drawn from what it learned, where its
plan is nearly the best there can be without foresight.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mlray.market import rules
from mlray.market.deadline import decide, plan_work
from mlray.market.foresight import cheapest
from mlray.market.horizon import Plan
from mlray.market.regimes import Regimes
from mlray.market.rehearse import Offered, Policy, Rehearsal, offers_of, rehearse
from mlray.market.steps import Choice, Standing, Task
from mlray.market.store import read_traces
from mlray.market.trace import Trace
from mlray.market.zones import Market, Watch

TRACES = Path(__file__).parents[2] / "shared" / "traces"
ON_DEMAND, SPOT = 3.06, 0.9731
DELAYS = (0.05, 0.20)
FAMILIES = ("aws-2022-10", "aws-2023-02")
SETS = {
    "us-east-1, all 4": ["us-east-1a", "us-east-1c", "us-east-1d", "us-east-1f"],
    "us-east-1, 3": ["us-east-1a", "us-east-1c", "us-east-1d"],
    "us-east-1, 2": ["us-east-1d", "us-east-1f"],
    "us-east-2": ["us-east-2a", "us-east-2b"],
    "us-west-2": ["us-west-2a", "us-west-2b", "us-west-2c"],
    "east": ["us-east-1c", "us-east-1f", "us-east-2a", "us-east-2b"],
    "one of each region": ["us-east-1d", "us-east-2b", "us-west-2a"],
    "all 9": [f"us-{z}" for z in ("east-1a", "east-1c", "east-1d", "east-1f", "east-2a", "east-2b", "west-2a", "west-2b", "west-2c")],
}


@dataclass
class Tally:
    """Dollars above the optimum, of runs of one setting, by policy."""

    above: dict[str, list[float]] = field(default_factory=dict)
    late: dict[str, int] = field(default_factory=dict)
    launches: dict[str, list[int]] = field(default_factory=dict)

    def add(self, name: str, run: Rehearsal, least: float) -> None:
        self.above.setdefault(name, []).append(run.dollars / least - 1)
        self.late[name] = self.late.get(name, 0) + run.late
        self.launches.setdefault(name, []).append(run.launches)

    def shown(self) -> dict[str, Any]:
        return {
            name: {
                "mean_above_percent": round(100 * float(np.mean(each)), 2),
                "worst_percent": round(100 * max(each), 1),
                "runs": len(each),
                "late": self.late[name],
                "launches": round(float(np.mean(self.launches[name])), 1),
            }
            for name, each in self.above.items()
        }


SPEED: dict[str, list[float]] = {"learn_s": [], "plan_s": [], "decision_s": []}


@dataclass(frozen=True)
class Split:
    """Ticks to learn from, and ticks to be judged on, as parts of a series."""

    name: str
    learn: tuple[float, float]
    judge: tuple[float, float]

    def history(self, trace: Trace) -> Trace:
        return trace.part(int(len(trace) * self.learn[0]), int(len(trace) * self.learn[1]))

    def starts(self, ticks: int, needed: int, count: int) -> list[int]:
        first, last = int(ticks * self.judge[0]), int(ticks * self.judge[1]) - needed
        return sorted({round(at) for at in np.linspace(first, last, count)}) if last >= first else []


HALVES = [Split("later half", (0.0, 0.5), (0.5, 1.0))]
QUARTERS = [Split("second quarter", (0.0, 0.25), (0.25, 0.5)), Split("first quarter", (0.25, 0.5), (0.0, 0.25))]


@cache
def family(name: str) -> tuple[Trace, ...]:
    """All series of a folder. Those of one zone are told apart by their type of node."""
    found = read_traces(TRACES / name)
    alike = len({trace.zone for trace in found}) < len(found)
    return tuple(Trace(f"{t.zone} {t.node_type}" if alike else t.zone, t.tick_s, t.nodes, t.price, t.node_type, t.start) for t in found)


def ours(course: Plan, watches: Sequence[Watch]) -> Policy:
    """The belief does not depend on what is chosen, so that it is folded once for all settings."""

    def choose(tick: int, standing: Standing, offered: Offered) -> tuple[Choice, str]:
        begun = time.perf_counter()
        decision = decide(course, watches[tick], standing, offered)
        SPEED["decision_s"].append(time.perf_counter() - begun)
        return decision.choice, decision.zone

    return choose


def watched(market: Market, offered: Sequence[Offered]) -> tuple[Watch, ...]:
    """The belief by tick."""
    watch, found = Watch.fresh(market), []
    for now in offered:
        watch = watch.seen({zone: zone in now for zone in market.zones})
        found.append(watch)
    return tuple(found)


def learned(history: Sequence[Trace], zones: Sequence[str], tick_s: float) -> Market:
    begun = time.perf_counter()
    market = Market.learned(history, zones, tick_s)
    if history:
        SPEED["learn_s"].append(time.perf_counter() - begun)
    return market


def planned(task: Task, market: Market, prices: Mapping[str, float]) -> Plan:
    begun = time.perf_counter()
    course = plan_work(task, market, prices)
    SPEED["plan_s"].append(time.perf_counter() - begun)
    return course


@dataclass(frozen=True)
class Case:
    """One series, or set of zones, of one split: what was offered, and what is known and believed in each tick."""

    name: str
    split: Split
    tick_s: float
    offered: tuple[Offered, ...]
    market: Market
    bare: Market
    watches: tuple[Watch, ...]

    @classmethod
    def of(cls, name: str, split: Split, traces: Sequence[Trace], market: Market, spot: float | None) -> Case:
        own, tick_s = [trace for trace in traces if trace.zone in market.zones], traces[0].tick_s
        offered = offers_of([Trace(t.zone, t.tick_s, t.nodes, None if spot else t.price) for t in own], spot)
        return cls(name, split, tick_s, offered, market, learned([], market.zones, tick_s), watched(market, offered))


def replayed(tally: Tally, case: Case, course: Plan, bare: Plan | None, starts: int) -> None:
    task = course.task
    for start in case.split.starts(len(case.offered), task.ticks, starts):
        offered = case.offered[start : start + task.ticks]
        least = cheapest(task, offered)
        policies: dict[str, Policy] = {
            "on_demand": lambda tick, standing, now: (Choice.ON_DEMAND, ""),
            "greedy": lambda tick, standing, now: rules.greedy(task, standing, now),
            "uniform_progress": lambda tick, standing, now: rules.uniform(task, standing, now),
            "ours": ours(course, case.watches[start:]),
        }
        if bare is not None:
            policies["unwatched"] = ours(course, watched(case.market, offered))
            policies["no_history"] = ours(bare, watched(case.bare, offered))
        for name, policy in policies.items():
            tally.add(name, rehearse(task, offered, policy), least)


def single(splits: Sequence[Split], starts: int, also: bool) -> Iterator[tuple[str, Tally]]:
    """48 h of work in one zone. What is learned, and so the plan, is the same for all series of a family; the belief is each one's own."""
    for name in FAMILIES:
        traces, cases = family(name), list[list[Case]]()
        for split in splits:
            market = learned([split.history(trace) for trace in traces], [traces[0].zone], traces[0].tick_s)
            cases.append([Case.of(t.zone, split, traces, replace(market, zones=(t.zone,)), SPOT) for t in traces])
        for deadline in (52.0, 60.0, 70.0):
            for delay in DELAYS:
                tally, task = Tally(), Task(48.0, deadline, delay, traces[0].tick_s, ON_DEMAND)
                for group in cases:
                    course = planned(task, group[0].market, {group[0].name: SPOT})
                    bare = planned(task, group[0].bare, {group[0].name: SPOT}) if also else None
                    for case in group:
                        replayed(tally, case, course, bare, starts)
                yield f"{name}, {deadline:.0f} h, delay {delay:.2f} h", tally


def many(splits: Sequence[Split], starts: int, also: bool) -> Iterator[tuple[str, Tally]]:
    """24 h of work in a set of zones, at recorded prices."""
    traces = family("aws-2023-02")
    for name, zones in SETS.items():
        cases = []
        for split in splits:
            market = learned([split.history(trace) for trace in traces], zones, traces[0].tick_s)
            cases.append(Case.of(name, split, traces, market, None))
        for deadline in (26.0, 36.0, 48.0):
            for delay in DELAYS:
                tally, task = Tally(), Task(24.0, deadline, delay, traces[0].tick_s, ON_DEMAND)
                for case in cases:
                    prices = first_prices(traces, zones, case.split)
                    replayed(tally, case, planned(task, case.market, prices), None, starts)
                yield f"{name}, {deadline:.0f} h, delay {delay:.2f} h", tally


def first_prices(traces: Sequence[Trace], zones: Sequence[str], split: Split) -> dict[str, float]:
    """The prices when what is judged begins: known to whoever plans then."""
    return {t.zone: float(t.price[int(len(t) * split.judge[0])]) for t in traces if t.zone in zones and t.price is not None}


def own(splits: Sequence[Split], starts: int, also: bool) -> Iterator[tuple[str, Tally]]:
    """48 h of work in markets drawn from the learned regimes themselves."""
    rng = np.random.default_rng(0)
    for name in FAMILIES:
        tick_s = family(name)[0].tick_s
        market = learned([splits[0].history(trace) for trace in family(name)], ["own"], tick_s)
        for deadline in (52.0, 60.0, 70.0):
            for delay in DELAYS:
                tally, task = Tally(), Task(48.0, deadline, delay, tick_s, ON_DEMAND)
                course = planned(task, market, {"own": SPOT})
                for _ in range(3 * starts):
                    offered = [{"own": SPOT} if up else {} for up in drawn(market.alone, task.ticks, rng)]
                    least = cheapest(task, offered)
                    tally.add("uniform_progress", rehearse(task, offered, lambda t, s, now, task=task: rules.uniform(task, s, now)), least)  # type: ignore[misc]
                    tally.add("ours", rehearse(task, offered, ours(course, watched(market, offered))), least)
                yield f"{name}, {deadline:.0f} h, delay {delay:.2f} h", tally


def drawn(regimes: Regimes, ticks: int, rng: np.random.Generator) -> list[bool]:
    """A market of the learned kind, in its long run from the first tick on."""
    ages, before = len(regimes.ages), 1000
    chains = regimes.chain().cumsum(axis=2)
    regime, state, found = int(rng.choice(regimes.count, p=regimes.weights)), int(rng.integers(2)) * ages, []
    for _ in range(before + ticks):
        state = min(int(np.searchsorted(chains[regime, state], rng.random())), 2 * ages - 1)
        if rng.random() < regimes.forget:
            regime = int(rng.choice(regimes.count, p=regimes.weights))
        found.append(state >= ages)
    return found[before:]


def mean(cases: Mapping[str, Any], names: Sequence[str]) -> dict[str, float]:
    """The mean of settings, each of which counts the same."""
    policies = cases[names[0]] if names else {}
    return {p: round(float(np.mean([cases[name][p]["mean_above_percent"] for name in names])), 2) for p in policies}


def summed(part: str, cases: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"mean_above_percent": mean(cases, list(cases))}
    if part == "many":
        found["inside_us_east_1"] = mean(cases, [name for name in cases if name.startswith("us-east-1,")])
    else:
        found |= {name: mean(cases, [case for case in cases if case.startswith(name)]) for name in FAMILIES}
        found |= {f"delay {d:.2f} h": mean(cases, [case for case in cases if case.endswith(f"{d:.2f} h")]) for d in DELAYS}
    policies = next(iter(cases.values()))
    found["late"] = {p: sum(case[p]["late"] for case in cases.values()) for p in policies}
    found["runs"] = sum(case["ours"]["runs"] for case in cases.values())
    found["worst_percent"] = {p: max(case[p]["worst_percent"] for case in cases.values()) for p in policies}
    return found


PARTS = {"single": single, "many": many, "bare": single, "own": own}


def main(parts: Sequence[str], starts: int, choose: bool) -> None:
    if not TRACES.is_dir():
        sys.exit(f"{TRACES} is absent: this benchmark reads recorded markets that are no part of the project")
    out = Path(__file__).with_suffix(".json")
    result: dict[str, Any] = json.loads(out.read_text()) if out.exists() and not choose else {}
    for part in parts:
        begun, cases = time.monotonic(), dict[str, Any]()
        for values in SPEED.values():
            values.clear()
        for name, tally in PARTS[part](QUARTERS if choose else HALVES, starts if part != "bare" else -(-starts // 4), part == "bare"):
            cases[name] = tally.shown()
            print(f"{part}: {name}: " + ", ".join(f"{p} {v['mean_above_percent']}" for p, v in cases[name].items()), file=sys.stderr)
        summary = summed(part, cases)
        print(json.dumps({part: summary}, indent=1))
        speed = {name: {"median": round(float(np.median(v)), 6), "most": round(max(v), 4)} for name, v in SPEED.items() if v}
        result[part] = {"starts": starts, "summary": summary, "speed": speed, "took_s": round(time.monotonic() - begun), "settings": cases}
    if choose:
        return
    result |= {
        "question": "what does deadline work cost on spot, above the optimum of whoever knows the future?",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}",
    }
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--starts", type=int, default=8)
    parser.add_argument("--choose", action="store_true")
    asked = parser.parse_args()
    main(asked.part, asked.starts, asked.choose)
