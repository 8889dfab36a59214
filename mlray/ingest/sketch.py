"""What one block tells about the whole version, for rules that no block can judge alone.

Values appear as keyed hashes. It is sealed with the block's receipt, so that a block that is not read again is judged again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlray.ingest import leakage
from mlray.ingest.hashes import Hashes, hashes, pack, secret_key, unpack, whole
from mlray.ingest.leakage import Leaks
from mlray.ingest.protect import SKETCHES
from mlray.ingest.rules import Fresh, NullShare, Unique, by_version
from mlray.ingest.spec import IngestJob
from mlray.vault.keyring import DataKey

Sketch = dict[str, Any]


def of(rows: pa.Table, splits: Mapping[str, Any], job: IngestJob, keys: Mapping[str, DataKey]) -> Sketch:
    """`rows` as the checks saw them, before protection; `splits` says by a mask which of them each split keeps."""
    kept = np.logical_or.reduce([*splits.values(), np.zeros(rows.num_rows, bool)])
    found: Sketch = {"rows": int(kept.sum()), "nulls": {}, "newest": {}, "unique": {}}
    for rule in by_version(job.checks):
        match rule:
            case NullShare(column=column):
                found["nulls"][column] = int((kept & ~whole([rows[column]])).sum())
            case Fresh(column=column):
                found["newest"][column] = pc.max(rows[column].filter(pa.array(kept)).cast(pa.int64())).as_py()
            case Unique(columns=columns):
                found["unique"][named(columns)] = pack(_keys(rows, columns, kept, secret_key(keys[SKETCHES], named(columns))))
    if job.leakage:
        found["leaks"] = leakage.of(rows, splits, job, job.leakage, keys[SKETCHES])
    return found


def named(columns: tuple[str, ...]) -> str:
    return ", ".join(columns)


@dataclass
class Total:
    """All blocks together. Eight bytes a row for each `unique`, and bounded for everything else."""

    rows: int = 0
    nulls: dict[str, int] = field(default_factory=dict)
    newest: dict[str, datetime] = field(default_factory=dict)
    unique: dict[str, list[Hashes]] = field(default_factory=dict)
    leaks: Leaks = field(default_factory=Leaks)

    def add(self, found: Sketch) -> None:
        self.rows += found["rows"]
        for column, count in found["nulls"].items():
            self.nulls[column] = self.nulls.get(column, 0) + count
        for column, micros in found["newest"].items():
            if micros is not None:
                moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
                self.newest[column] = max(moment, self.newest.get(column, moment))
        for columns, text in found["unique"].items():
            self.unique.setdefault(columns, []).append(unpack(text))
        self.leaks.add(found.get("leaks", {}))

    def repeats(self, columns: tuple[str, ...]) -> int:
        """Rows whose values were there before. Two of a hundred million different keys share 64 bits with a chance of 1 in 4,000."""
        found = np.concatenate([np.zeros(0, np.uint64), *self.unique.get(named(columns), [])])
        found.sort()
        return int((found[1:] == found[:-1]).sum())


def total(found: Iterable[Sketch]) -> Total:
    """Give it an iterator, so that each sketch can be forgotten once it was added."""
    together = Total()
    for sketch in found:
        together.add(sketch)
    return together


def _keys(rows: pa.Table, columns: tuple[str, ...], kept: Any, key: str) -> Hashes:
    values = [rows[column] for column in columns]
    found: Hashes = hashes(values, key)[kept & whole(values)]
    return found
