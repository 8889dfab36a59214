"""What does an ingest cost, sealed and plain, next to the fastest tools that only copy the rows to Parquet?

    python benchmarks/ingest.py [--millions 1 4 16] [--formats csv parquet] [--rounds 3]

(a) mlray, sealed; (b) mlray with a plain sink: the same tasks, parts, digests, receipts and flushes, without encryption;
(c) PyArrow, streaming into one plain Parquet file in one process; (d) DuckDB, COPY to one plain Parquet file.

The same rows, on the same two cores, with the same codec (zstd, level 1), each flushed to the disk. Rounds alternate, forwards
and backwards, so that a busy machine slows all four; the result is the median of the rounds, and where it is very busy, believe
the CPU seconds. Ray runs before the clock starts, and the others' imports are done. What mlray does beyond a copy is done here as
in any job: the source is named by its digest, every row is checked and numbered, statistics are kept, parts have digests and
receipts. Memory is the peak of the process and all below it, less what it is when idle. Writing clear text is no switch of the
product: the plain sink lives here alone. The result is written beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from mlray.files import parse, validate
from mlray.ingest import on_ray
from mlray.ingest.mill import Sealed, Writer, secrets_of
from mlray.ingest.report import BlockReport
from mlray.ingest.spec import IngestJob
from mlray.sources import readers
from mlray.vault.encoding import encodings
from mlray.vault.store import Vault, VaultAddress
from mlray.vault.version import Part, digest_bytes

CPUS = 2
CHUNK = 1 << 18  # rows made at a time, and in a row group of the source
KINDS = {
    "id": "int", "account": "int", "at": "timestamp", "amount": "float", "score": "float",
    "quantity": "int", "channel": "text", "country": "text", "code": "text", "returned": "bool",
}  # fmt: skip
JOB = """kind: ingest
name: benchmark
policy: none.yaml
dataset: sales
sources: {{sales: {{format: {format}, uri: {uri}, columns: {columns}}}}}
main: sales
checks:
  - {{rule: not_null, column: id, reason: no id}}
  - {{rule: between, column: amount, low: 0, high: 1000000, reason: impossible amount}}
classes: {{id: public, account: internal, channel: public, country: public, code: public}}
split: {{by: none}}
rows_per_part: 262144
"""


def rows(start: int, count: int) -> pa.Table:
    """Sales, the same in every run: ids, accounts of which few buy most, moments, amounts in cents, few words, a code, missing values."""
    rng = np.random.default_rng(start)
    score = rng.normal(0.5, 0.2, count)
    return pa.table(
        {
            "id": np.arange(start, start + count),
            "account": rng.zipf(1.3, count) % 1_000_003,
            "at": pa.array(1_760_000_000_000_000 + (start + np.arange(count)) * 1_500_000, pa.timestamp("us", tz="UTC")),
            "amount": np.round(rng.lognormal(3, 1, count), 2),
            "score": pa.array(np.round(score, 6), mask=rng.random(count) < 0.02),
            "quantity": rng.integers(1, 20, count),
            "channel": pa.array(["web", "shop", "phone", "app", "partner"]).take(pa.array(rng.integers(0, 5, count))),
            "country": pa.array([f"{a}{b}" for a in "ABCDEFGH" for b in "KLMNO"]).take(pa.array(rng.integers(0, 40, count))),
            "code": pa.array([f"SKU-{n:06d}" for n in range(20_000)]).take(pa.array(rng.integers(0, 20_000, count))),
            "returned": rng.random(count) < 0.03,
        }
    )


def make(folder: Path, kind: str, count: int) -> Path:
    path = folder / f"sales-{count}.{kind}"
    schema = rows(0, 1).schema
    stamped = schema.set(2, pa.field("at", pa.string()))
    with csv.CSVWriter(path, stamped) if kind == "csv" else pq.ParquetWriter(path, schema, compression="zstd") as out:
        for start in range(0, count, CHUNK):
            table = rows(start, min(CHUNK, count - start))
            if kind == "csv":
                moments = pa.compute.strftime(table["at"], "%Y-%m-%dT%H:%M:%SZ")
                table = table.set_column(2, "at", moments).cast(stamped)
            out.write_table(table)
    return path


@dataclass(frozen=True)
class Plain:
    """Stores what the vault would seal: same encodings, codec, row groups, digests, receipts and flushes, without encryption."""

    draft: Any
    folder: str

    def open(self, job: IngestJob) -> Writer:
        return self

    def write(self, name: str, split: str, rows: pa.Table, subjects: Any, work: str) -> Part:
        out = pa.BufferOutputStream()
        repeating, others = encodings(rows)
        pq.write_table(rows, out, compression="zstd", row_group_size=1 << 17, use_dictionary=repeating, column_encoding=others)
        data = out.getvalue()
        flush(Path(self.folder) / f"{name}.parquet", data)
        return Part(name, f"{name}.parquet", split, rows.num_rows, len(data), digest_bytes(data), work=work)

    def done(self, found: BlockReport) -> None:
        flush(Path(self.folder) / f"{found.work}.json", found.to_json().encode())

    def receipts(self, works: Sequence[str]) -> Mapping[str, bytes]:
        return {}


def flush(path: Path, data: Any) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def job(path: Path, kind: str) -> IngestJob:
    columns = json.dumps(KINDS)
    return validate(parse("benchmark.yaml", JOB.format(format=kind, uri=path, columns=columns)), IngestJob)


def sealed(path: Path, kind: str, folder: Path) -> int:
    address = VaultAddress(f"file://{folder}/store", f"{folder}/keyring.json")
    done = on_ray.ingest(job(path, kind), folder, address)
    return sum(part.bytes for part in done.version.manifest.parts)


def plain(path: Path, kind: str, folder: Path) -> int:
    """As `ingest`, up to the commit, which here is one file of JSON."""
    spec = job(path, kind)
    vault: Vault = VaultAddress(f"file://{folder}/store", f"{folder}/keyring.json").open()
    secrets = secrets_of(vault)
    plan = on_ray.plan_of(spec, {n: readers.find(n, s, folder, spec.rows_per_part, secrets) for n, s in spec.sources.items()}, vault)
    draft = vault.draft_dataset(spec.dataset, plan.digest)
    (folder / "plain").mkdir()
    sink: Sealed = Plain(draft, str(folder / "plain"))  # type: ignore[assignment]
    reports = list(on_ray.milled(plan, sink, vault, secrets))
    flush(folder / "plain" / "manifest.json", json.dumps([found.to_json() for found in reports]).encode())
    return sum(part.bytes for found in reports for part in found.parts)


def pyarrow(path: Path, kind: str, folder: Path) -> int:
    import pyarrow.dataset as ds

    arrow = {"int": pa.int64(), "float": pa.float64(), "text": pa.string(), "bool": pa.bool_(), "timestamp": pa.timestamp("us", tz="UTC")}
    out = folder / "out.parquet"
    if kind == "csv":
        types = csv.ConvertOptions(column_types={name: arrow[kind] for name, kind in KINDS.items()}, strings_can_be_null=True)
        stream: Any = csv.open_csv(path, read_options=csv.ReadOptions(block_size=8 << 20), convert_options=types)
        schema, batches = stream.schema, iter(stream)
    else:
        source = ds.dataset(path, format="parquet")
        schema, batches = source.schema, source.to_batches(batch_size=1 << 17)
    with pq.ParquetWriter(out, schema, compression="zstd", compression_level=1) as writer:
        for batch in batches:
            writer.write_batch(batch, row_group_size=1 << 17)
    return synced(out)


def duckdb(path: Path, kind: str, folder: Path) -> int:
    import duckdb

    types = {"int": "BIGINT", "float": "DOUBLE", "text": "VARCHAR", "bool": "BOOLEAN", "timestamp": "TIMESTAMPTZ"}
    columns = json.dumps({name: types[kind] for name, kind in KINDS.items()})
    read = f"read_csv('{path}', header = true, columns = {columns})" if kind == "csv" else f"read_parquet('{path}')"
    out = folder / "out.parquet"
    connection = duckdb.connect(config={"threads": CPUS})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        f"COPY (SELECT * FROM {read}) TO '{out}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 131072)"
    )
    return synced(out)


def synced(path: Path) -> int:
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
    return path.stat().st_size


HERE: dict[str, Callable[[Path, str, Path], int]] = {"a mlray sealed": sealed, "b mlray plain": plain}
ALONE: dict[str, Callable[[Path, str, Path], int]] = {"c pyarrow": pyarrow, "d duckdb": duckdb}
NAMES = [*HERE, *ALONE]


class Watch:
    """Peak memory of a process and all below it, looked at four times a second."""

    def __init__(self, root: int) -> None:
        self.peak, self._root, self._stop = 0, root, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.is_set():
            self.peak = max(self.peak, memory(self._root))
            self._stop.wait(0.25)


def memory(root: int) -> int:
    """Bytes: what each process has for itself, and the largest piece of shared memory once: that is Ray's object store.

    Proportional set sizes would say the same, but the kernel walks all pages for them, which slowed the larger tree by a tenth.
    """
    own, shared = 0, 0
    for pid in below(root):
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            sizes = {line.partition(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss")}
            own, shared = own + sizes.get("RssAnon", 0), max(shared, sizes.get("RssShmem", 0))
    return own + shared


def cpu(root: int) -> float:
    """Seconds of processor time of a process and all below it, those that ended included."""
    ticks = 0
    for pid in below(root):
        with suppress(OSError):
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def below(root: int) -> set[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def measure(name: str, path: Path, kind: str, idle: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        if name in ALONE:
            command = [sys.executable, __file__, "--alone", name, "--path", str(path), "--kind", kind, "--folder", folder]
            return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        with Watch(os.getpid()) as watch:
            begun, used = time.monotonic(), cpu(os.getpid())
            size = HERE[name](path, kind, Path(folder))
            took, used = time.monotonic() - begun, cpu(os.getpid()) - used
        return {"wall_s": took, "cpu_s": used, "peak_mib": (watch.peak - idle) / 2**20, "mib": size / 2**20}


def alone(name: str, path: Path, kind: str, folder: Path) -> None:
    """In a process of its own, whose imports are done before the clock starts."""
    with suppress(ImportError):
        import duckdb  # noqa: F401
        import pyarrow.dataset  # noqa: F401
    pa.set_cpu_count(CPUS)
    idle = memory(os.getpid())
    with Watch(os.getpid()) as watch:
        begun, used = time.monotonic(), cpu(os.getpid())
        size = ALONE[name](path, kind, folder)
        took, used = time.monotonic() - begun, cpu(os.getpid()) - used
    print(json.dumps({"wall_s": took, "cpu_s": used, "peak_mib": (watch.peak - idle) / 2**20, "mib": size / 2**20}))


@contextmanager
def cluster() -> Iterator[int]:
    """Ray with its workers up; yields what it all takes when idle."""
    import ray
    import ray.data

    ray.init(num_cpus=CPUS, include_dashboard=False, log_to_driver=False)
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = make(Path(folder), "parquet", 10_000)
            sealed(path, "parquet", Path(folder))
        time.sleep(2)
        yield memory(os.getpid())
    finally:
        ray.shutdown()


def compare(path: Path, kind: str, rounds: int, idle: int) -> dict[str, Any]:
    found: dict[str, list[dict[str, float]]] = {name: [] for name in NAMES}
    path.read_bytes()[:0]  # in the page cache for all four
    for turn in range(rounds):
        for name in sorted(NAMES, reverse=bool(turn % 2)):
            found[name].append(measure(name, path, kind, idle))
            print(
                f"  {name}: {found[name][-1]['wall_s']:.2f} s, CPU {found[name][-1]['cpu_s']:.2f} s, {found[name][-1]['peak_mib']:.0f} MiB",
                file=sys.stderr,
            )
    middle = {name: {key: round(statistics.median(r[key] for r in each), 3) for key in each[0]} for name, each in found.items()}
    wall = {name[0]: value["wall_s"] for name, value in middle.items()}
    return {
        "median": middle,
        "sealed_speed_over_plain": round(wall["b"] / wall["a"], 3),
        "mlray_speed_over_best_copy": round(min(wall["c"], wall["d"]) / wall["a"], 3),
        "all": {name: [round(r["wall_s"], 3) for r in each] for name, each in found.items()},
    }


def main(millions: Sequence[int], formats: Sequence[str], rounds: int) -> None:
    cases: dict[str, Any] = {}
    with cluster() as idle, tempfile.TemporaryDirectory() as folder:
        for count in millions:
            for kind in formats:
                path = make(Path(folder), kind, count * 1_000_000)
                print(f"{count} M rows of {kind}, {path.stat().st_size / 2**20:.0f} MiB", file=sys.stderr)
                cases[f"{count}M {kind}"] = {"source_mib": round(path.stat().st_size / 2**20), **compare(path, kind, rounds, idle)}
                path.unlink()
    out = Path(__file__).with_suffix(".json")
    result = {
        "question": "what does an ingest cost, sealed and plain, next to tools that only copy?",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}",
        "rounds": rounds,
        "ray_idle_mib": round(idle / 2**20),
        "cases": cases,
    }
    out.write_text(json.dumps(result, indent=1) + "\n")
    shown = {name: {key: value for key, value in case.items() if key != "all"} for name, case in cases.items()}
    print(json.dumps(shown, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", nargs="+", type=int, default=[1, 4, 16])
    parser.add_argument("--formats", nargs="+", default=["csv", "parquet"])
    parser.add_argument("--rounds", type=int, default=3)
    for hidden in ("--alone", "--path", "--kind", "--folder"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.alone:
        alone(asked.alone, Path(asked.path), asked.kind, Path(asked.folder))
    else:
        main(asked.millions, asked.formats, asked.rounds)
