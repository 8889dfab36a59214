"""A job that follows a topic, and a process that forks followers: to be killed, each at another point.

python -m tests.ingest.streams JOB STORE KEYRING   reads a line for each follower that is to be started, and prints its id
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlray.clock import SystemClock
from mlray.ingest import follow
from mlray.ingest.report import Ingested
from mlray.ingest.spec import IngestJob
from mlray.vault.store import VaultAddress

WINDOW = {"name": "minutes", "by": ["who"], "size": "1m", "slide": "30s", "compute": {"n": "count", "total": {"sum": "amount"}}}
COLUMNS = {"id": "int", "at": "timestamp", "amount": "int", "who": "text"}


def job(broker: str, topic: str, follow: dict[str, Any], **change: Any) -> IngestJob:
    source = {"format": "kafka", "connection": {"bootstrap": broker}, "topic": topic, "columns": COLUMNS}
    given: dict[str, Any] = {
        "kind": "ingest",
        "name": "clicks",
        "policy": "p.yaml",
        "dataset": "clicks",
        "main": "clicks",
        "sources": {"clicks": source},
    }
    given |= {"split": {"by": "none"}, "rows_per_part": 1024, "follow": {"every": "50ms", "compact_after": 20} | follow}
    return IngestJob.model_validate(given | change)


def click(number: int) -> bytes:
    """One second after the other, by two people."""
    at = f"2025-01-01T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z"
    return json.dumps({"id": number, "at": at, "amount": number % 10, "who": "ab"[number % 2]}).encode()


def clicks(numbers: Sequence[int], partitions: int = 3) -> list[tuple[int, bytes | None]]:
    return [(number % partitions, click(number)) for number in numbers]


def address(folder: Path) -> VaultAddress:
    return VaultAddress(f"file://{folder}/store", f"{folder}/keyring.json")


def run(job: IngestJob, vault: VaultAddress, forever: bool = False, **how: Any) -> Ingested:
    return follow.follow(job, Path("."), vault, follow.in_process, clock=SystemClock(), forever=forever, **how)


def main(job_file: str, store: str, keyring: str) -> None:
    job, vault = IngestJob.model_validate_json(Path(job_file).read_text()), VaultAddress(store, keyring)
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            run(job, vault, forever=True)
            os._exit(0)
        print(child, flush=True)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
