"""What does sealing cost? The same rows through the same tasks, once into the vault and once into plain Parquet.

    python benchmarks/ingest.py [rounds]

Writing clear text is no switch of the product: the plain sink lives here alone. Rounds alternate, sealed first and then
plain first, so that a busy machine slows both; where it is very busy, believe the CPU seconds. The result is written beside this file.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import statistics
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import ray

from mlray.files import load
from mlray.ingest import identity, join, mill, on_ray, report
from mlray.ingest.mill import Sealed, Sink, Work
from mlray.ingest.spec import IngestJob
from mlray.sources import readers
from mlray.vault.store import VaultAddress
from mlray.vault.version import Part, digest_bytes

JOB = Path(__file__).parents[1] / "jobs" / "flights" / "ingest.yaml"


@dataclass(frozen=True)
class Plain:
    """Writes what the vault would seal: same format, compression, checksum and flush, without encryption."""

    folder: str

    def __call__(self, name: str, split: str, rows: pa.Table) -> Part:
        out = pa.BufferOutputStream()
        pq.write_table(rows, out, compression="zstd")
        data = bytes(out.getvalue())
        path = Path(self.folder) / f"{name}-{secrets.token_hex(8)}.parquet"
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return Part(name, path.name, split, rows.num_rows, len(data), digest_bytes(data))


def measure(work: Work) -> dict[str, float]:
    """Seconds on the clock, of all tasks, and of CPU when one process does the same blocks; bytes written and rows."""
    begun = time.monotonic()
    with closing(on_ray.run(work)) as lines:
        reports = [report.from_json(line) for line in lines]
    took = time.monotonic() - begun
    cpu = time.process_time()
    again = [
        found for number in range(work.slices) for found in mill.grind(number, work, ray.get(work.sides), work.keys(), reports[0].usage)
    ]
    cpu = time.process_time() - cpu
    assert len(again) == len(reports)
    parts = [part for found in reports for part in found.parts]
    return {
        "wall_s": took,
        "cpu_s": cpu,
        "task_s": sum(found.usage.seconds for found in reports),
        "bytes": sum(part.bytes for part in parts),
        "rows": sum(part.rows for part in parts),
    }


def main(rounds: int) -> None:
    job = load(JOB, IngestJob)
    inputs = {name: readers.find(name, source, JOB.parent, job.rows_per_part) for name, source in job.sources.items()}
    sides = tuple(join.side(readers.whole(inputs[j.source], job.sources[j.source]), j) for j in job.joins)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    ray.data.range(2, override_num_blocks=2).map(lambda row: row).take_all()  # workers are up before the first round
    found: dict[str, list[dict[str, float]]] = {"sealed": [], "plain": []}
    with tempfile.TemporaryDirectory() as folder:
        draft = VaultAddress(f"file://{folder}/store", f"{folder}/keyring.json").open().draft_dataset(job.dataset, "0" * 64)
        (Path(folder) / "plain").mkdir()
        sinks: dict[str, Sink] = {"sealed": Sealed(draft), "plain": Plain(f"{folder}/plain")}
        for turn in range(rounds + 1):
            for name in sorted(sinks, reverse=turn % 2 == 0):
                slices = identity.slices(identity.blocks(job, inputs), 2)
                result = measure(Work(job, inputs[job.main], slices, 2.0, ray.put(sides), draft.address, sinks[name]))
                if turn:  # the first is a warm-up
                    found[name].append(result)
    ray.shutdown()
    show(found, rounds)


def show(found: dict[str, list[dict[str, float]]], rounds: int) -> None:
    middle = {name: {key: round(statistics.median(r[key] for r in results), 3) for key in results[0]} for name, results in found.items()}
    result = {
        "question": "what does sealing an ingest cost?",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}",
        "rounds": rounds,
        "median": middle,
        "sealed_over_plain": {
            key: round(middle["sealed"][key] / middle["plain"][key], 3) for key in ("wall_s", "task_s", "cpu_s", "bytes")
        },
        "all": found,
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({key: value for key, value in result.items() if key != "all"}, indent=1))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
