"""What do N ready replicas cost on spot zones, and how much of the time are they ready?

    python benchmarks/spot_serving.py [--case 4 9] [--traces ../shared/traces] [--workers 2]

All on-demand, round robin, SpotHedge (EuroSys 2025, arXiv 2411.01438) with one and two extra, mlray's placement for several
targets, and the cheapest plan that knows the future and is always ready, in one run on the same market: ticks of 60 s, a launch
fails at once and free of charge where a zone is full, billed from launch to stop, ready after the cold start, cost relative to N
on-demand nodes. Where room is short, the nodes that go are drawn at random by seed; each learns of it `notice` seconds earlier
with chance 0.95 where there are notices, and every policy then replaces it at once.

mlray sees of a zone what a customer sees: nodes lost, notices, launches refused, and the zone's name. It starts knowing nothing; the
earlier half of the trace is what it learns from, the later half is what it is judged on. The values of all constants were chosen on
earlier halves. What prompted two of them was seen on the later half, so it is not wholly unseen: STEER_S and AIM (placement.py), made
for targets that were missed there. So was the work on regions and on repeated refusals, prompted by the 9 zones' later half.
The series of the 4-node set end together: a series that is shorter had no nodes before. Its prices are the mean ones of the 9-zone set.
The omniscient plan is a linear program; it is exact where its solution is whole (the file says so), else a lower bound.
The result is written beside this file.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlray.market.fleet import Held, Market, Need, Pool, Seen, Slot
from mlray.market.hazard import History, learn
from mlray.market.placement import Placement, place
from mlray.market.spec import Capacity
from mlray.units import Money, Price

TICK, ON_DEMAND, DELIVERED = 60, 3.06, 0.95
HERE = "on-demand"
RESULT = Path(__file__).with_suffix(".json")


@dataclass(frozen=True)
class Zones:
    """Nodes and dollars an hour by zone and tick."""

    nodes: dict[str, NDArray[np.int64]]
    price: dict[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(next(iter(self.nodes.values())))

    def later(self) -> Zones:
        half = len(self) // 2
        return Zones({z: v[half:] for z, v in self.nodes.items()}, {z: v[half:] for z, v in self.price.items()})


@dataclass(frozen=True)
class Setting:
    """What is wanted: `ready` nodes, a cold start, and a notice in seconds (0: none)."""

    ready: int
    cold_s: int
    notice_s: int = 0


def read(case: str, traces: Path) -> Zones:
    """One of the two sets, by tick of the simulation."""
    series, gap = _series(traces / "aws-2023-02")
    ticks = np.arange(len(next(iter(series.values()))) * gap // TICK) * TICK // gap
    changes = json.loads((traces / "aws-2023-02" / "spot_price.json").read_text())["data"]
    price = {z.split("_")[0]: _price(c, ticks) for z, c in changes.items()}
    if case == "9":
        return Zones({z: s[ticks] for z, s in series.items()}, price)
    series, gap = _series(traces / "aws-2023-08-4nodes")
    longest = max(map(len, series.values()))
    nodes = {z: np.repeat(np.pad(s, (longest - len(s), 0)), gap // TICK) for z, s in series.items()}
    return Zones(nodes, {z: np.full(longest * gap // TICK, price[z].mean()) for z in nodes})


def _series(folder: Path) -> tuple[dict[str, NDArray[np.int64]], int]:
    found = {p.stem.split("_")[0]: json.loads(p.read_text()) for p in sorted(folder.glob("*_v100_1.json"))}
    return {z: np.array(f["data"]) for z, f in found.items()}, next(iter(found.values()))["metadata"]["gap_seconds"]


def _price(changes: Sequence[Sequence[float]], ticks: NDArray[np.int64]) -> NDArray[np.float64]:
    at, dollars = np.array([c[0] for c in changes]), np.array([c[1] for c in changes])
    found: NDArray[np.float64] = dollars[np.searchsorted(at, ticks, side="right") - 1]
    return found


@dataclass
class World:
    """The market of a trace and the nodes held in it. A node is (tick of launch, number)."""

    zones: Zones
    setting: Setting
    seed: int = 0
    now: int = 0
    nodes: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    warned: set[int] = field(default_factory=set)
    doomed: set[int] = field(default_factory=set)
    lost: dict[str, int] = field(default_factory=dict)
    announced: int = 0
    count: int = 0

    def __post_init__(self) -> None:
        self.rng, self.cold, self.ahead = random.Random(self.seed), self.setting.cold_s // TICK, self.setting.notice_s // TICK
        self.room = {z: v.tolist() for z, v in self.zones.nodes.items()}
        self.nodes = {z: [] for z in (*self.room, HERE)}

    def begin(self) -> None:
        """Nodes go where room is short, and notices come for those that go within the time of a notice."""
        self.lost, self.announced = {}, 0
        for zone, room in self.room.items():
            have = self.nodes[zone]
            if len(have) > room[self.now]:
                self._take(zone, len(have) - room[self.now])
            if have and self.ahead:
                low = min(room[self.now + 1 : self.now + 1 + self.ahead], default=len(have))
                calm = [n for n in have if n[1] not in self.doomed]
                for node in self.rng.sample(calm, max(0, len(calm) - low)):
                    self.doomed.add(node[1])
                    if self.rng.random() < DELIVERED:
                        self.warned.add(node[1])

    def _take(self, zone: str, many: int) -> None:
        have = self.nodes[zone]
        order = sorted(have, key=lambda n: (n[1] not in self.doomed, self.rng.random()))
        for node in order[:many]:
            have.remove(node)
            self.announced += node[1] in self.warned
        self.lost[zone] = many

    def launch(self, zone: str) -> bool:
        """Whether there was room for one more node."""
        if zone != HERE and len(self.nodes[zone]) >= self.room[zone][self.now]:
            return False
        self.count += 1
        self.nodes[zone].append((self.now, self.count))
        return True

    def stop(self, zone: str, many: int) -> None:
        """The newest go first; those that are announced to go, never."""
        for node in sorted((n for n in self.nodes[zone] if n[1] not in self.warned), reverse=True)[:many]:
            self.nodes[zone].remove(node)

    def ready(self, zone: str, staying: bool = False) -> int:
        return sum(self.now - n[0] >= self.cold and not (staying and n[1] in self.warned) for n in self.nodes[zone])

    def staying(self, zone: str) -> int:
        return sum(n[1] not in self.warned for n in self.nodes[zone])


Policy = Callable[[World], None]


def run(world: World, policy: Policy) -> dict[str, tuple[float, float]]:
    """Relative cost and availability, by part of the trace."""
    ticks = len(world.zones)
    price = {z: v.tolist() for z, v in world.zones.price.items()} | {HERE: [ON_DEMAND] * ticks}
    dollars, kept = np.zeros(ticks), np.zeros(ticks, bool)
    for world.now in range(ticks):
        world.begin()
        policy(world)
        dollars[world.now] = sum(len(have) * price[z][world.now] for z, have in world.nodes.items() if have)
        kept[world.now] = sum(map(world.ready, world.nodes)) >= world.setting.ready
    parts = {"earlier": slice(0, ticks // 2), "later": slice(ticks // 2, None), "whole": slice(None)}
    return {name: (float(dollars[p].mean()) / ON_DEMAND / world.setting.ready, float(kept[p].mean())) for name, p in parts.items()}


class RoundRobin:
    """Spot only: each missing node tries the next zone, once in a tick."""

    at = 0

    def __call__(self, world: World) -> None:
        zones = list(world.room)
        for _ in range(world.setting.ready - sum(map(world.staying, zones))):
            world.launch(zones[self.at % len(zones)])
            self.at += 1


class SpotHedge:
    """N + extra spot nodes spread over zones that work; on demand for those that are not ready (SpotHedge, section 4)."""

    def __init__(self, extra: int, zones: Sequence[str]) -> None:
        self.extra, self.good, self.bad = extra, list(zones), list[str]()

    def _blame(self, zone: str) -> None:
        if zone in self.good:
            self.good.remove(zone)
            self.bad.append(zone)
        if len(self.good) < 2:
            self.good, self.bad = self.good + self.bad, []

    def __call__(self, world: World) -> None:
        for zone in (*world.lost, *(z for z in world.room if world.staying(z) < len(world.nodes[z]))):
            self._blame(zone)
        for zone in [z for z in self.bad if any(world.now - n[0] == world.cold for n in world.nodes[z])]:
            self.bad.remove(zone)
            self.good.append(zone)
        tried: set[str] = set()
        for _ in range(world.setting.ready + self.extra - sum(map(world.staying, world.room))):
            self._launch(world, tried)
        ready = sum(world.ready(z, staying=True) for z in world.room)
        wanted = min(world.setting.ready, max(0, world.setting.ready + self.extra - ready))
        world.stop(HERE, len(world.nodes[HERE]) - wanted)
        for _ in range(wanted - len(world.nodes[HERE])):
            world.launch(HERE)

    def _launch(self, world: World, tried: set[str]) -> None:
        while left := [z for z in self.good if z not in tried] or [z for z in self.bad if z not in tried]:
            zone = min(left, key=lambda z: len(world.nodes[z]))
            if world.launch(zone):
                return
            tried.add(zone)
            self._blame(zone)


class Placer:
    """mlray's placement: learn, place, act; after a refusal in the same tick again."""

    def __init__(self, need: Need) -> None:
        self.need, self.history, self.now = need, History(), None
        self.placement: Placement | None = None
        self.prices: dict[float, Price] = {}
        self.calls, self.seconds, self.plans = 0, 0.0, 0

    def __call__(self, world: World) -> None:
        short = sum(map(world.ready, world.nodes)) < self.need.ready
        self._learn(world, short, tuple(world.lost.items()))
        pools = self._pools(world)
        while True:
            begun = time.process_time()
            found = place(self.need, Market(world.now * 60.0, pools, _held(world)), self.history, self.placement)
            self.calls, self.seconds = self.calls + 1, self.seconds + time.process_time() - begun
            if found is self.placement:
                return
            self.placement, self.plans = found, self.plans + 1
            refused = tuple(m.slot.zone for m in found.launch if not all(world.launch(m.slot.zone) for _ in range(m.nodes)))
            if not refused:
                for move in found.stop:
                    world.stop(move.slot.zone, move.nodes)
                return
            self._learn(world, short, refused=refused)

    def _learn(self, world: World, short: bool, lost: tuple[tuple[str, int], ...] = (), refused: tuple[str, ...] = ()) -> None:
        held = tuple((z, len(world.nodes[z])) for z in world.room if world.nodes[z])
        self.history = learn(self.history, Seen(world.now * 60.0, held, lost, refused, short, world.announced if lost else 0))

    def _pools(self, world: World) -> tuple[Pool, ...]:
        spot = tuple(Pool(Slot(z, Capacity.SPOT), self._price(float(p[world.now]))) for z, p in world.zones.price.items())
        return (*spot, Pool(Slot(HERE, Capacity.ON_DEMAND), self._price(ON_DEMAND)))

    def _price(self, dollars: float) -> Price:
        if dollars not in self.prices:
            self.prices[dollars] = Price(Money(round(dollars * 1e6)))
        return self.prices[dollars]


def _held(world: World) -> tuple[Held, ...]:
    out = []
    for zone, have in world.nodes.items():
        if have:
            ready = world.ready(zone)
            kind = Capacity.ON_DEMAND if zone == HERE else Capacity.SPOT
            out.append(Held(Slot(zone, kind), len(have) - ready, ready, len(have) - world.staying(zone)))
    return tuple(out)


def omniscient(zones: Zones, setting: Setting) -> tuple[float, bool]:
    """The least relative cost with N ready from the first cold start on, and whether the solution is whole (so exact).

    y nodes of a pool are ready in a tick and s are launched: y[t] <= y[t-1] + s[t-cold]; what is ready or starting fits the room;
    the ready ones of all pools are at least N. A launch pays for its whole cold start.
    """
    import scipy.sparse as sparse
    from scipy.optimize import linprog

    ticks, cold, pools = len(zones), setting.cold_s // TICK, [*zones.nodes, HERE]
    t, dollars, entries, bounds, row = np.arange(ticks), [], [], [], 0
    for at, pool in enumerate(pools):
        price = zones.price.get(pool, np.full(ticks, ON_DEMAND))
        paid = np.concatenate(([0.0], np.cumsum(price)))
        dollars += [price, paid[np.minimum(t + cold, ticks)] - paid[t]]
        y, s = 2 * at * ticks, (2 * at + 1) * ticks
        entries += [(row + t, y + t, 1.0), (row + t[1:], y + t[:-1], -1.0), (row + t[cold:], s + t[: ticks - cold], -1.0)]
        bounds.append(np.zeros(ticks))
        row += ticks
        if pool in zones.nodes:
            entries += [(row + t, y + t, 1.0), *((row + t[k:], s + t[: ticks - k], 1.0) for k in range(cold))]
            bounds.append(zones.nodes[pool].astype(float))
            row += ticks
    entries += [(row + t[cold:] - cold, 2 * at * ticks + t[cold:], -1.0) for at in range(len(pools))]
    bounds.append(np.full(ticks - cold, -float(setting.ready)))
    row += ticks - cold
    rows, columns, values = (np.concatenate(x) for x in zip(*[(r, c, np.full(len(r), v)) for r, c, v in entries], strict=True))
    matrix = sparse.csr_matrix((values, (rows, columns)), shape=(row, 2 * ticks * len(pools)))
    found = linprog(np.concatenate(dollars), A_ub=matrix, b_ub=np.concatenate(bounds), bounds=(0, None), method="highs")
    whole = bool(np.abs(found.x - np.round(found.x)).max() < 1e-6)
    return float(found.fun) / (ON_DEMAND * setting.ready * ticks), whole


def brute_force(zones: Zones, setting: Setting) -> float:
    """The same by trying everything: for small cases. A state is, for each pool, the ages of its nodes up to `cold` (ready)."""
    cold, pools = setting.cold_s // TICK, [*zones.nodes, HERE]
    states: dict[tuple[tuple[int, ...], ...], float] = {tuple(() for _ in pools): 0.0}
    for t in range(len(zones)):
        after: dict[tuple[tuple[int, ...], ...], float] = {}
        for state, spent in states.items():
            for chosen in product(*(_choices(zones, pools[i], ages, t, setting.ready) for i, ages in enumerate(state))):
                if t < cold or sum(a >= cold for ages in chosen for a in ages) >= setting.ready:
                    price = sum(len(a) * (ON_DEMAND if p == HERE else float(zones.price[p][t])) for p, a in zip(pools, chosen, strict=True))
                    older = tuple(tuple(min(a + 1, cold) for a in ages) for ages in chosen)
                    after[older] = min(after.get(older, 1e9), spent + price)
        states = after
    return min(states.values()) / (ON_DEMAND * setting.ready * len(zones))


def _choices(zones: Zones, pool: str, ages: tuple[int, ...], t: int, most: int) -> Iterator[tuple[int, ...]]:
    """Every subset kept with every number launched, inside the room."""
    room = 2 * most if pool == HERE else int(zones.nodes[pool][t])
    kept = {tuple(a for a, keep in zip(ages, mask, strict=True) if keep) for mask in product((0, 1), repeat=len(ages))}
    for left in kept:
        for new in range(most + 1):
            if len(left) + new <= room:
                yield tuple(sorted((*left, *(0,) * new)))


def checked(cases: int = 40) -> dict[str, Any]:
    """The linear program against brute force on small random markets."""
    rng, worst, whole = np.random.default_rng(7), 0.0, 0
    for _ in range(cases):
        ticks, ready = int(rng.integers(6, 11)), int(rng.integers(1, 3))
        nodes = {z: rng.integers(0, 3, ticks) for z in ("a", "b")[: 3 - ready]}
        zones = Zones(nodes, {z: np.full(ticks, float(rng.uniform(0.5, 1.5))) for z in nodes})
        setting = Setting(ready, TICK * int(rng.integers(1, 3)))
        found, exact = omniscient(zones, setting)
        worst, whole = max(worst, abs(found - brute_force(zones, setting))), whole + exact
    return {"cases": cases, "whole": whole, "largest difference": round(worst, 9)}


CASES = ["4", "9"]
TARGETS = (0.99, 0.995, 0.9975, 0.999, 0.9995)
BASELINES = {"all on-demand": None, "round robin": RoundRobin, "SpotHedge +1": 1, "SpotHedge +2": 2}


def one(job: tuple[str, Setting, str | float, int, str]) -> dict[str, Any]:
    """One policy on one market."""
    case, setting, name, seed, traces = job
    zones = read(case, Path(traces))
    if name == "omniscient":
        later, whole = omniscient(zones.later(), setting), omniscient(zones, setting)
        return {"later": [later[0], 1.0], "whole": [whole[0], 1.0], "exact": later[1] and whole[1]}
    policy: Any = None
    if isinstance(name, float):
        policy = Placer(Need(setting.ready, name, float(setting.cold_s), float(setting.notice_s), rebuy_s=60.0))
    elif name == "round robin":
        policy = RoundRobin()
    elif name == "all on-demand":
        policy = lambda w: [w.launch(HERE) for _ in range(setting.ready - len(w.nodes[HERE]))]  # noqa: E731
    else:
        policy = SpotHedge(int(name[-1]), list(zones.nodes))
    found: dict[str, Any] = {k: list(v) for k, v in run(World(zones, setting, seed), policy).items()}
    if isinstance(policy, Placer):
        found |= {"plans": policy.plans, "microseconds a call": round(policy.seconds / policy.calls * 1e6, 1)}
    return found


def settings(case: str) -> list[tuple[Setting, Sequence[int], Sequence[float]]]:
    """What is wanted, with the seeds and the targets: N as in the reference and others, with a notice and without."""
    if case == "9":
        return [(Setting(3, 180), (0,), (0.99, 0.9975, 0.999)), (Setting(3, 120, 120), range(2), (0.9995,))]
    others = [(Setting(n, 180), (0,), (0.995, 0.9975, 0.999)) for n in (2, 4)]
    return [(Setting(3, 180), (0,), TARGETS), (Setting(3, 120, 120), range(5), (0.999, 0.9995)), *others]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", default=CASES, choices=CASES)
    parser.add_argument("--traces", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "traces")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    if not asked.traces.is_dir():
        sys.exit(f"{asked.traces} is not there: this benchmark needs the recorded traces, give --traces")
    before = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    result: dict[str, Any] = {case: rows for case, rows in before.items() if case in CASES and case not in asked.case}
    result |= {"at": datetime.now(UTC).isoformat(timespec="seconds"), "python": platform.python_version(), "omniscient check": checked()}
    for case in asked.case:
        result[case] = measure(case, asked.traces, asked.workers)
        RESULT.write_text(json.dumps(result, indent=1) + "\n")


def measure(case: str, traces: Path, workers: int) -> list[dict[str, Any]]:
    """Every policy in every setting of one set of traces, in so many processes."""
    out = []
    with ProcessPoolExecutor(workers) as pool:
        for setting, seeds, targets in settings(case):
            names: list[str | float] = ["omniscient", *BASELINES, *targets]
            jobs = [(case, setting, n, s, str(traces)) for n in names for s in (seeds if isinstance(n, float) else seeds[:1])]
            for job, found in zip(jobs, pool.map(one, jobs), strict=True):
                name = f"mlray {job[2]:.2%}" if isinstance(job[2], float) else job[2]
                row = {"ready": setting.ready, "cold_s": setting.cold_s, "notice_s": setting.notice_s, "policy": name, "seed": job[3]}
                out.append(row | {k: _rounded(v) for k, v in found.items()})
                print(case, json.dumps(out[-1]), flush=True)
    return out


def _rounded(value: Any) -> Any:
    return [round(v, 5) for v in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
