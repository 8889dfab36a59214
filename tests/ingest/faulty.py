"""Faults: an ingest whose driver, worker or node is killed with SIGKILL at a chosen point of its work, once.

The sink below seals like every other; it travels to the tasks by value, since workers cannot import tests.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from mlray.ingest.mill import Sealed, Sealing, Writer
from mlray.ingest.report import BlockReport
from mlray.ingest.spec import IngestJob
from mlray.vault.store import Draft
from mlray.vault.version import Part

ENDING_S = 60.0


@dataclass(frozen=True)
class Fault:
    """Who dies, and where: `reading` a piece, `sealing` it, or when it is `last`, its receipt left and its report not yet told.

    It strikes when at least one piece is finished, so that there is something that must not be repeated. `flag` is a file that
    tells it has struck: on which node, and which files were finished then.
    """

    victim: str
    stage: str
    flag: str
    driver: int
    pieces: int

    def strike(self, sealing: Sealing, wait_s: float = 0.0) -> None:
        deadline = time.monotonic() + wait_s
        while not (receipts := sealing.vault.receipts(sealing.draft)) and time.monotonic() < deadline:
            time.sleep(0.02)
        if len(receipts) < (self.pieces if self.stage == "last" else 1):
            return
        try:
            with open(self.flag, "x") as file:
                json.dump({"node": os.environ["MLRAY_NODE"], "finished": sorted(finished_files(receipts))}, file)
        except FileExistsError:
            return
        if self.victim != "node":
            os.kill(self.driver if self.victim == "driver" else os.getpid(), signal.SIGKILL)
        time.sleep(ENDING_S)  # a node is ended from outside; a worker goes with its driver
        os.abort()


@dataclass(frozen=True)
class Striking:
    """The sink of a real ingest, with a fault in it."""

    sealed: Sealed
    fault: Fault

    @property
    def draft(self) -> Draft:
        return self.sealed.draft

    def open(self, job: IngestJob) -> Writer:
        sealing = self.sealed.open(job)
        assert isinstance(sealing, Sealing)
        if self.fault.stage == "reading":
            _strike_between_pieces(self.fault, sealing)
        return Weak(sealing, self.fault)


@dataclass(frozen=True)
class Weak:
    """A writer that dies when it has written a part, or left the last receipt."""

    sealing: Sealing
    fault: Fault

    def write(self, name: str, split: str, rows: pa.Table, subjects: pa.ChunkedArray | None, work: str) -> Part:
        part = self.sealing.write(name, split, rows, subjects, work)
        if self.fault.stage == "sealing":
            self.fault.strike(self.sealing)
        return part

    def done(self, found: BlockReport) -> None:
        self.sealing.done(found)
        if self.fault.stage == "last":
            self.fault.strike(self.sealing)

    def receipts(self, works: Sequence[str]) -> Mapping[str, bytes]:
        return self.sealing.receipts(works)


def finished_files(receipts: Mapping[str, bytes]) -> set[str]:
    """The files of all finished pieces."""
    return {part["file"] for line in receipts.values() for part in json.loads(line)["report"]["parts"]}


def _strike_between_pieces(fault: Fault, sealing: Sealing) -> None:
    """In this worker, from now on: when a piece has been read, before anything is done with it."""
    from mlray.sources import readers

    read = getattr(readers.read, "whole", readers.read)

    def struck(*asked: Any) -> Iterator[Any]:
        for number, (piece, rows) in enumerate(read(*asked)):
            fault.strike(sealing, wait_s=10.0 if number else 0.0)  # the one before is sealed while this one is read
            yield piece, rows

    struck.whole = read  # type: ignore[attr-defined]
    readers.read = struck  # type: ignore[assignment]


def drive(folder: Path, home: Path, stage: str, pieces: int) -> None:
    """What a driver does that is going to be killed: in a task of its own, or at its commit."""
    import sys

    import ray

    from mlray.home import Home
    from mlray.ingest import on_ray
    from mlray.launch.on_ray import connect
    from mlray.vault.shelf import Shelf
    from mlray.vault.store import Vault
    from tests.ingest import faulty, test_faults

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if stage == "before commit":
        Vault.commit_dataset = die  # type: ignore[method-assign,assignment]
    elif stage == "after commit":
        Shelf.point = die  # type: ignore[method-assign]
    else:
        ray.cloudpickle.register_pickle_by_value(sys.modules[faulty.__name__])
        fault = faulty.Fault("driver", stage, str(folder / "struck"), os.getpid(), pieces)
        vars(on_ray)["Sealed"] = lambda draft: faulty.Striking(Sealed(draft), fault)
    with connect(Home.at(home)):
        test_faults.run(folder)
