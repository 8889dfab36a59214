"""Rows that repeat a key are found whatever piece they are in."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
import pytest

from mlray.ingest.repeated import BLOCK, BUCKET, ROWS, buckets, repeated

PIECES = [
    pa.table({"id": [1, 2, None, 2], "at": ["a", "a", "a", "a"]}),
    pa.table({"id": [3, 1, None, 2], "at": ["a", "a", "a", "b"]}),
    pa.table({"id": pa.array([], pa.int64()), "at": pa.array([], pa.string())}),
]


def judged(pieces: list[pa.Table], key: list[str], keep: Literal["first", "last"], count: int = 3) -> dict[int, list[int]]:
    lines = pa.concat_tables([buckets(block, rows, key, (5, 6), count) for block, rows in enumerate(pieces)])
    out: dict[int, list[int]] = {}
    for bucket in set(lines[BUCKET].to_pylist()):
        found = repeated(lines.filter(pa.compute.equal(lines[BUCKET], bucket)), keep)
        for block, rows in zip(found[BLOCK].to_pylist(), found[ROWS].to_pylist(), strict=True):
            out[block] = sorted([*out.get(block, []), *rows])
    return out


@pytest.mark.parametrize(
    "key, keep, out",
    [
        (["id", "at"], "first", {0: [3], 1: [1]}),
        (["id", "at"], "last", {0: [0, 1]}),
        (["id"], "first", {0: [3], 1: [1, 3]}),
        (["id"], "last", {0: [0, 1, 3]}),
    ],
)
def test_all_but_the_first_or_the_last_row_of_a_key_repeat_it(key: list[str], keep: Literal["first", "last"], out: dict[int, list[int]]):
    assert judged(PIECES, key, keep) == out


def test_how_many_buckets_there_are_changes_nothing():
    rng = np.random.default_rng(3)
    pieces = [pa.table({"id": rng.integers(0, 3000, 1000)}) for _ in range(4)]
    whole = np.concatenate([piece["id"].to_numpy() for piece in pieces])
    _, firsts = np.unique(whole, return_index=True)
    expected = set(range(4000)) - set(firsts.tolist())
    for count in (1, 2, 64):
        found = judged(pieces, ["id"], "first", count)
        assert {block * 1000 + row for block, rows in found.items() for row in rows} == expected
