"""Which rows repeat a key, over all pieces of a source, from 128 bits a row.

Each piece gives the hashes of its keys, put into buckets: equal keys are in the same bucket, so a bucket is judged alone, on
any node, and holds its share of all hashes and no row. Two different keys of a billion share 128 bits with a chance of 10^-21.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pyarrow as pa

from mlray.ingest.fingerprint import fingerprints

BUCKET, BLOCK, ROWS, FIRST, SECOND = "bucket", "block", "rows", "first", "second"
BUCKET_SCHEMA = pa.schema(
    [(BUCKET, pa.int32()), (BLOCK, pa.int64()), (ROWS, pa.large_list(pa.int64())), (FIRST, pa.large_list(pa.uint64())),
     (SECOND, pa.large_list(pa.uint64()))]
)  # fmt: skip
REPEATED_SCHEMA = pa.schema([(BLOCK, pa.int64()), (ROWS, pa.large_list(pa.int64()))])
Seeds = tuple[int, int]  # drawn anew for each run: nothing of them is kept


def buckets(block: int, rows: pa.Table, key: Sequence[str], seeds: Seeds, count: int) -> pa.Table:
    """One line for each bucket that a piece has rows in. Rows with a missing key are in none."""
    there = np.ones(rows.num_rows, bool)
    for name in key:
        there &= rows[name].is_valid().to_numpy()
    numbers = np.flatnonzero(there)
    first, second = (fingerprints(rows, key, seed)[numbers] for seed in seeds)
    order = np.argsort(first % np.uint64(count), kind="stable")
    numbers, first, second = numbers[order], first[order], second[order]
    found, begins = np.unique(first % np.uint64(count), return_index=True)
    offsets = pa.array([*begins, len(numbers)] if len(found) else [0], pa.int64())
    lists = [pa.LargeListArray.from_arrays(offsets, pa.array(values)) for values in (numbers, first, second)]
    return pa.table([pa.array(found.astype(np.int32)), pa.array(np.full(len(found), block)), *lists], schema=BUCKET_SCHEMA)


def repeated(bucket: pa.Table, keep: Literal["first", "last"]) -> pa.Table:
    """The rows of one bucket, by block, that repeat a key another row has which is kept: the first or the last of all."""
    lengths = bucket[ROWS].combine_chunks().value_lengths().to_numpy()
    blocks = np.repeat(bucket[BLOCK].to_numpy(), lengths)
    rows, first, second = (bucket[name].combine_chunks().flatten().to_numpy() for name in (ROWS, FIRST, SECOND))
    order = np.lexsort((rows, blocks, second, first))
    rows, blocks, first, second = rows[order], blocks[order], first[order], second[order]
    same = (first[1:] == first[:-1]) & (second[1:] == second[:-1])
    out = np.append(False, same) if keep == "first" else np.append(same, False)
    return _by_block(blocks[out], rows[out])


def _by_block(blocks: np.ndarray, rows: np.ndarray) -> pa.Table:
    order = np.lexsort((rows, blocks))
    found, begins = np.unique(blocks[order], return_index=True)
    offsets = pa.array([*begins, len(rows)] if len(found) else [0], pa.int64())
    return pa.table([pa.array(found, pa.int64()), pa.LargeListArray.from_arrays(offsets, pa.array(rows[order], pa.int64()))],
                    schema=REPEATED_SCHEMA)  # fmt: skip
