"""Which split each row belongs to: by time, by group, by chance that never changes, in folds, or all in one."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlray.ingest.hashes import Flags, Hashes, hashes, public_key, scramble, unit, whole
from mlray.ingest.rules import fraction
from mlray.ingest.splits import ALL, Folds, GroupSplit, HashSplit, NoSplit, Shared, Split, TimeSplit, key_of
from mlray.sources.typed import LINE

TRAIN, VALIDATION, TEST = "train", "validation", "test"
Places = NDArray[np.int64]  # for each row, the index of its split's name


def names(by: Split) -> tuple[str, ...]:
    match by:
        case TimeSplit():
            return (TRAIN, VALIDATION, TEST)
        case GroupSplit() | HashSplit():
            return tuple(by.shares)
        case Folds():
            folds = tuple(f"fold-{number}" for number in range(by.count))
            return (*folds, TEST) if fraction(by.test) else folds
        case NoSplit():
            return (ALL,)


def homeless(table: pa.Table, by: Split) -> Flags:
    """Rows that belong to no split, because what decides it is missing."""
    key = key_of(by)
    return ~whole([table[column] for column in key]) if key else np.zeros(table.num_rows, np.bool_)


def places(table: pa.Table, by: Split) -> Places:
    """For each row, which of `names` it belongs to; what is said of a homeless row means nothing.

    A hash split needs `_line`, the row's number in its file, which is what it is told by.
    """
    match by:
        case TimeSplit():
            moment = table[by.column]
            later = [pc.fill_null(pc.greater_equal(moment, _midnight(day)), False) for day in (by.validation_from, by.test_from)]
            return sum((flags.to_numpy().astype(np.int64) for flags in later), np.zeros(table.num_rows, np.int64))
        case GroupSplit():
            return _by_share(unit(_hashes(table, key_of(by), by.seed)), by)
        case HashSplit(stratify=None):
            return _by_share(unit(_hashes(table, (LINE,), by.seed)), by)
        case HashSplit(stratify=str(column)):
            return _by_rank(_hashes(table, (LINE,), by.seed), table[column], by)
        case Folds():
            return _folds(unit(_hashes(table, key_of(by) or (LINE,), by.seed)), by)
    return np.zeros(table.num_rows, np.int64)


def _hashes(table: pa.Table, columns: tuple[str, ...], seed: int) -> Hashes:
    return hashes([table[column] for column in columns], public_key(f"split {seed}"))


def _borders(by: Shared) -> NDArray[np.float64]:
    """Where each split but the last ends, as a share of all."""
    return np.cumsum([fraction(share) for share in by.shares.values()])[:-1].round(12)


def _by_share(where: NDArray[np.float64], by: Shared) -> Places:
    return np.searchsorted(_borders(by), where, side="right")


def _by_rank(found: Hashes, strata: pa.ChunkedArray, by: HashSplit) -> Places:
    """Within each stratum of the block, rows in the order of their hashes are dealt out by the shares.

    A stratum of n rows is cut at share * n, rounded by chance and not always down: of single rows, each split gets its share.
    """
    codes = strata.combine_chunks().dictionary_encode(null_encoding="encode").indices.to_numpy()
    order = np.lexsort((found, codes))
    begins = np.flatnonzero(np.diff(codes[order], prepend=-1))
    sizes = np.diff(np.append(begins, len(codes)))
    rank = np.arange(len(codes)) - np.repeat(begins, sizes)
    chance = unit(scramble(found[order[begins]], public_key(f"strata {by.seed}")))
    cuts = np.floor(np.outer(sizes, _borders(by)) + chance[:, None])
    dealt = (rank[:, None] >= np.repeat(cuts, sizes, axis=0)).sum(axis=1)
    placed = np.empty(len(codes), np.int64)
    placed[order] = dealt
    return placed


def _folds(where: NDArray[np.float64], by: Folds) -> Places:
    kept = 1 - fraction(by.test)
    fold = np.floor(where / kept * by.count).astype(np.int64)
    return np.minimum(fold, by.count if fraction(by.test) else by.count - 1)


def _midnight(day: date) -> pa.Scalar:
    return pa.scalar(datetime.combine(day, time.min, UTC), pa.timestamp("us", tz="UTC"))
