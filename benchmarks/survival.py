"""How well is it foretold whether a spot node lives on? Three ways to learn it, on recorded markets.

    python benchmarks/survival.py [--traces ../shared/traces]

Learned on the earlier half of each zone, judged on the later one: for every life there, the chance to live 15 minutes, 1 hour
and 4 hours, against what became of it (Brier score: the mean squared error, lower is better; a life that was cut off before the
moment is left out). (a) one rate for all ages, (b) the rate by age of mlray/market/risk.py, (c) Kaplan-Meier. (a) and (b) use
the same prior. Traces are not part of the project; where there are none, this says so. The result is written beside this file.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from mlray.market.risk import PRIOR, Lives, learn
from mlray.market.store import read_traces
from mlray.market.trace import Trace

HORIZONS_S = (900.0, 3600.0, 4 * 3600.0)
ONE_RATE = replace(PRIOR, by_age=1e9)
Life = tuple[float, bool]  # seconds, and whether it ended
Curve = Callable[[float], float]


def lives(trace: Trace) -> Iterator[Life]:
    """Every node of the zone whose begin was seen: the k-th is there while at least k are."""
    for level in range(1, int(trace.nodes.max(initial=0)) + 1):
        up = trace.nodes >= level
        edges = [0, *(np.flatnonzero(np.diff(up)) + 1).tolist(), len(up)]
        for first, last in pairwise(edges[1:]):
            if up[first]:
                yield (last - first) * trace.tick_s, last < len(up)


def kaplan_meier(seen: list[Life]) -> Curve:
    """The share that lived longer; past the longest life, what it ended at."""
    steps, share = [(0.0, 1.0)], 1.0
    for i, (seconds, ended) in enumerate(sorted(seen)):
        share *= 1 - ended / (len(seen) - i)
        steps.append((seconds, share))
    return lambda at: next(value for seconds, value in reversed(steps) if seconds <= at)


def errors(curve: Curve, judged: list[Life]) -> list[float]:
    known = [(at, seconds > at) for at in HORIZONS_S for seconds, ended in judged if ended or seconds > at]
    return [(curve(at) - lived) ** 2 for at, lived in known]


def judge(traces: tuple[Trace, ...]) -> dict[str, float]:
    found: dict[str, list[float]] = {"one rate": [], "rate by age": [], "Kaplan-Meier": []}
    for trace in traces:
        earlier, later = trace.halves()
        seen, judged = Lives.of(earlier), list(lives(later))
        for name, curve in (
            ("one rate", learn(seen, ONE_RATE).survive),
            ("rate by age", learn(seen).survive),
            ("Kaplan-Meier", kaplan_meier(list(lives(earlier)))),
        ):
            found[name] += errors(curve, judged)
    return {name: round(math.fsum(all_of) / len(all_of), 4) for name, all_of in found.items()} | {"judged": len(found["one rate"])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=Path, default=Path(__file__).parents[2] / "shared" / "traces")
    folders = sorted(path for path in parser.parse_args().traces.glob("*") if path.is_dir())
    if not folders:
        raise SystemExit("no recorded traces here: nothing was measured")
    result = {"horizons_s": HORIZONS_S, "brier": {folder.name: judge(read_traces(folder)) for folder in folders}}
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
