"""What needs all rows at once: rows that repeat a key, and joins to a source too large to go to every node. An edge.

Ray Data moves the rows here. Repeated keys travel as hashes, in as many lines as there are pieces times buckets. A large join
moves the rows themselves: both sides are put together by key, then the rows back into the pieces and the order they came from,
so that what is sealed is, part for part, what a join on each node would have made.
"""

from __future__ import annotations

import math
import secrets as random
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import ray
import ray.data

from mlray.errors import MlrayError
from mlray.ingest import join as joins
from mlray.ingest import pieces, repeated, report
from mlray.ingest.blend import Join
from mlray.ingest.mill import CPUS, Work, open_work, raw, seal, secrets_of
from mlray.ingest.pieces import Cut
from mlray.ingest.tasks import cpus, dealt, settings, told
from mlray.sources import readers
from mlray.sources.base import SourceBase
from mlray.sources.piece import Found
from mlray.vault.store import VaultAddress

BLOCK, ROW, SECONDS = "_block", "_row", "_seconds"
BUCKET_ROWS = 2_000_000  # keys judged by one task: about 100 MB
PARTITION_BYTES = 128 << 20

Repeats = dict[int, np.ndarray]  # block -> the numbers of its rows


@dataclass(frozen=True, slots=True)
class Side:
    """What a task is sent to read a source, piece by piece."""

    founds: tuple[Found, ...]
    sources: tuple[SourceBase, ...]
    deals: tuple[tuple[Cut, ...], ...]
    vault: VaultAddress

    def rows(self, number: int) -> Iterator[tuple[int, pa.Table]]:
        """(block, its rows) of one task, in order."""
        secrets = secrets_of(self.vault.open())
        for cut in self.deals[number]:
            for _, rows in readers.read(self.founds[cut.source], self.sources[cut.source], [cut.piece], secrets):  # type: ignore[arg-type]
                yield cut.block, rows


def side(founds: Sequence[Found], sources: Sequence[SourceBase], vault: VaultAddress) -> Side:
    cuts = pieces.cuts(founds)
    return Side(tuple(founds), tuple(sources), pieces.deal(cuts, pieces.tasks(len(cuts), cpus())), vault)


def find_repeats(there: Side, key: Sequence[str], keep: Literal["first", "last"]) -> Repeats:
    """The rows that repeat a key of an earlier (or later) row, by block. Reads the key columns alone."""
    keys = replace(there, sources=tuple(_only(source, key) for source in there.sources))
    count = max(1, math.ceil(sum(found.rows for found in there.founds) / BUCKET_ROWS), int(cpus()))
    how = {"there": keys, "key": tuple(key), "seeds": (random.randbits(63), random.randbits(63)), "count": count}
    with settings(), told():
        lines = dealt(len(keys.deals), cpus()).map_batches(_buckets, batch_size=None, batch_format="pyarrow", fn_kwargs=how, num_cpus=CPUS)
        judged = lines.groupby(repeated.BUCKET, num_partitions=count).map_groups(_judge, batch_format="pyarrow", fn_kwargs={"keep": keep})
        found: dict[int, list[np.ndarray]] = {}
        for batch in judged.iter_batches(batch_size=None, batch_format="pyarrow"):
            for block, rows in zip(batch[repeated.BLOCK].to_pylist(), batch[repeated.ROWS].combine_chunks(), strict=True):
                found.setdefault(block, []).append(rows.values.to_numpy())
    return {block: np.sort(np.concatenate(rows)) for block, rows in found.items()}


def run(work: Work, large: Mapping[int, Side]) -> Generator[str, None, None]:
    """The lines of all pieces. `large` are the joins whose side is not in `work.sides`, by their place among the joins."""
    parts = _partitions(work, large)
    with settings(), told():
        rows = dealt(len(work.deals), cpus()).map_batches(
            _read, batch_size=None, batch_format="pyarrow", fn_kwargs={"work": work}, num_cpus=CPUS
        )
        for number, join in enumerate(work.job.joins):
            rows = _joined(rows, join, large[number], parts) if number in large else _added(rows, work, number)
        groups = rows.groupby(BLOCK, num_partitions=parts)
        lines = groups.map_groups(_finish, batch_format="pyarrow", fn_kwargs={"work": work}, num_cpus=CPUS)
        for batch in lines.iter_batches(batch_size=None, batch_format="pyarrow"):
            yield from batch["line"].to_pylist()


def _joined(rows: ray.data.Dataset, join: Join, there: Side, partitions: int) -> ray.data.Dataset:
    repeats = find_repeats(there, list(join.keys), "first")
    joins.refuse_repeats(sum(map(len, repeats.values())), join)
    how = {"there": there, "join": join, "repeats": ray.put(repeats)}
    others = dealt(len(there.deals), cpus()).map_batches(_others, batch_size=None, batch_format="pyarrow", fn_kwargs=how, num_cpus=CPUS)
    return rows.join(others, "left_outer", partitions, on=tuple(join.keys.values()))


def _added(rows: ray.data.Dataset, work: Work, number: int) -> ray.data.Dataset:
    return rows.map_batches(_add, batch_size=None, batch_format="pyarrow", fn_kwargs={"work": work, "number": number}, num_cpus=CPUS)


def _partitions(work: Work, large: Mapping[int, Side]) -> int:
    """As many as keep one of them small enough for a task."""
    rows = sum(found.rows for found in work.founds) + sum(found.rows for there in large.values() for found in there.founds)
    return max(int(cpus() * 2), math.ceil(rows * 16 * len(work.job.columns) / PARTITION_BYTES))


def _buckets(batch: pa.Table, there: Side, key: tuple[str, ...], seeds: repeated.Seeds, count: int) -> Iterator[pa.Table]:
    for number in batch["id"].to_pylist():
        yield from (repeated.buckets(block, rows, key, seeds, count) for block, rows in there.rows(number))


def _judge(group: pa.Table, keep: Literal["first", "last"]) -> pa.Table:
    return repeated.repeated(group, keep)


def _read(batch: pa.Table, work: Work) -> Iterator[pa.Table]:
    """Rows with their place. A piece without rows sends one that says so, or nobody would know that it was read."""
    opened = open_work(work)
    for number in batch["id"].to_pylist():
        begun = time.monotonic()
        for cut, rows in raw(work, work.deals[number], opened):
            places = np.arange(rows.num_rows) if rows.num_rows else np.array([-1])
            rows = rows if rows.num_rows else pa.Table.from_pylist([{}], schema=rows.schema)
            marks = {BLOCK: np.full(len(places), cut.block), ROW: places, SECONDS: np.full(len(places), time.monotonic() - begun)}
            for name, values in marks.items():
                rows = rows.append_column(name, pa.array(values))
            yield rows
            begun = time.monotonic()


def _others(batch: pa.Table, there: Side, join: Join, repeats: Any) -> Iterator[pa.Table]:
    """The columns that are used of the joined source, by their names here, of rows that have a whole key and repeat none."""
    out: Repeats = ray.get(repeats)
    for number in batch["id"].to_pylist():
        for block, rows in there.rows(number):
            if block in out:
                rows = rows.filter(pa.array(~np.isin(np.arange(rows.num_rows), out[block])))
            used = joins.keyed(rows, join)
            names = {**{here: there_ for there_, here in join.keys.items()}, **{here: there_ for there_, here in join.taken.items()}}
            yield pa.table({here: used[name] for here, name in names.items()})


def _add(batch: pa.Table, work: Work, number: int) -> pa.Table:
    return joins.add(batch, ray.get(work.sides)[number], work.job.joins[number])


def _finish(group: pa.Table, work: Work) -> pa.Table:
    """All rows of one piece, in the order in which they were read."""
    try:
        opened = replace(open_work(work), sides=(None,) * len(work.job.joins))  # the rows have been joined
        block, used = group[BLOCK][0].as_py(), group[SECONDS][0].as_py()
        cut = next(cut for deal in work.deals for cut in deal if cut.block == block)
        begun = time.monotonic()
        rows = group.sort_by(ROW)
        rows = rows.filter(pa.compute.greater_equal(rows[ROW], 0)).drop_columns([BLOCK, ROW, SECONDS])
        return pa.table({"line": [seal(work, cut, rows, opened, begun, used).to_json()]})
    except MlrayError as error:
        return pa.table({"line": [report.failure(error)]})


def _only(source: SourceBase, columns: Sequence[str]) -> SourceBase:
    return source.model_copy(update={"columns": {name: source.wanted[name] for name in columns}, "on_new_column": "drop"})
