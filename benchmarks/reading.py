"""What does it cost to read a sealed version back? The same rows, the same Parquet settings, the same cores, sealed and plain.

    python benchmarks/reading.py [rounds] [million rows]

Plain is `pyarrow.parquet.read_table` over the folder, with its own threads: what one would write without mlray. Sealed is
`Vault.read`: it checks every byte against the signed manifest and decrypts. Rounds alternate which comes first. Files are in the
page cache for both. The result is written beside this file.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlray.vault.encoding import encodings
from mlray.vault.store import Vault, VaultAddress
from mlray.vault.tables import GROUP_ROWS
from mlray.vault.version import DatasetVersion

PART_ROWS = 100_000
FEW = ["delay", "distance"]
GOAL = 0.85


def rows(part: int) -> pa.Table:
    """Flights as they come: text that repeats, numbers, and a time that rises."""
    rng = np.random.default_rng(part)
    start = np.datetime64("2025-01-01", "us") + np.timedelta64(part, "D")
    at = start + np.sort(rng.integers(0, 86_400_000_000, PART_ROWS)).astype("timedelta64[us]")
    return pa.table(
        {
            "at": pa.array(at, pa.timestamp("us", "UTC")),
            "tailnum": pa.array([f"N{i}UA" for i in rng.integers(10_000, 14_000, PART_ROWS)]),
            "origin": pa.array(rng.choice(["EWR", "JFK", "LGA"], PART_ROWS)),
            "delay": pa.array(rng.normal(12, 40, PART_ROWS).round(1)),
            "distance": pa.array(rng.integers(90, 4_983, PART_ROWS)),
            "flight": pa.array(rng.integers(1, 8_500, PART_ROWS)),
            "late": pa.array((rng.random(PART_ROWS) < 0.2).astype(np.int8)),
        }
    )


def write(folder: Path, parts: int) -> tuple[Vault, DatasetVersion, Path]:
    vault, plain = VaultAddress(f"file://{folder}/store", f"{folder}/keyring.json").open(), folder / "plain"
    plain.mkdir()
    draft, made = vault.draft_dataset("flights", "a" * 64), []
    for number in range(parts):
        table = rows(number)
        repeating, others = encodings(table)
        pq.write_table(
            table,
            plain / f"{number:05d}.parquet",
            compression="zstd",
            row_group_size=GROUP_ROWS,
            use_dictionary=repeating,
            column_encoding=others,
        )
        made.append(vault.write_part(draft, f"train-{number:05d}", "train", table))
    return vault, vault.commit_dataset(draft, made, schema=rows(0).schema, lineage=()), plain


def measure(ways: dict[str, Callable[[], pa.Table]], rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in ways}
    sums = set()
    for turn in range(rounds + 1):
        for name in sorted(ways, reverse=turn % 2 == 0):
            begun = time.perf_counter()
            table = ways[name]()
            took = time.perf_counter() - begun
            sums.add((table.num_rows, int(np.asarray(table["distance"]).sum())))
            del table
            if turn:  # the first is a warm-up
                found[name].append(took)
    assert len(sums) == 1, "all ways read the same rows"
    return found


def main(rounds: int, millions: float) -> None:
    parts = int(millions * 1_000_000 / PART_ROWS)
    with tempfile.TemporaryDirectory() as folder:
        vault, version, plain = write(Path(folder), parts)
        files = sorted(plain.iterdir())

        def one_by_one(columns: list[str] | None) -> pa.Table:
            return pa.concat_tables([pq.read_table(file, columns=columns, use_threads=False) for file in files])

        before = os.getloadavg()[0]
        all_columns = measure(
            {
                "sealed": lambda: vault.read(version, "train"),
                "plain": lambda: pq.read_table(plain),
                "plain_one_thread": lambda: one_by_one(None),
            },
            rounds,
        )
        few = measure({"sealed": lambda: vault.read(version, "train", FEW), "plain": lambda: pq.read_table(plain, columns=FEW)}, rounds)
        sizes = {"sealed": sum(part.bytes for part in version.manifest.parts), "plain": sum(file.stat().st_size for file in files)}
    show(rounds, parts * PART_ROWS, before, all_columns, few, sizes)


def show(
    rounds: int, count: int, load: float, all_columns: dict[str, list[float]], few: dict[str, list[float]], sizes: dict[str, int]
) -> None:
    middle = {name: statistics.median(times) for name, times in all_columns.items()}
    middle_few = {name: statistics.median(times) for name, times in few.items()}
    result = {
        "question": "what does it cost to read a sealed version back?",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}, load {load:.1f} before",
        "rounds": rounds,
        "rows": count,
        "bytes": sizes,
        "median_s": {name: round(value, 4) for name, value in middle.items()},
        "median_s_of_two_columns": {name: round(value, 4) for name, value in middle_few.items()},
        "goal": GOAL,
        "speed_of_plain": round(middle["plain"] / middle["sealed"], 3),
        "speed_of_plain_best_against_best": round(min(all_columns["plain"]) / min(all_columns["sealed"]), 3),
        "speed_of_plain_on_one_thread": round(middle["plain_one_thread"] / middle["sealed"], 3),
        "speed_of_plain_of_two_columns": round(middle_few["plain"] / middle_few["sealed"], 3),
        "all": {name: [round(value, 4) for value in times] for name, times in all_columns.items()},
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({key: value for key, value in result.items() if key != "all"}, indent=1))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9, float(sys.argv[2]) if len(sys.argv) > 2 else 4)
