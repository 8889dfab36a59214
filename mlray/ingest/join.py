"""Adds columns of a small table to each row by equal keys, and never changes which rows there are or their order."""

from __future__ import annotations

import functools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlray.errors import WorkError
from mlray.ingest.spec import Join

ROW, THERE = "_row", "_there"


def side(table: pa.Table, join: Join) -> pa.Table:
    """The columns of the joined source that are used, without rows that lack a key; of repeated keys, the first if that was declared.

    Raises WorkError with the number of rows that repeat a key.
    """
    keys = list(join.keys)
    used = table.select(list(dict.fromkeys((*keys, *join.taken))))
    whole = used.filter(functools.reduce(pc.and_, (used[key].is_valid() for key in keys)))
    firsts = whole.select(keys).append_column(THERE, _numbers(whole)).group_by(keys, use_threads=False).aggregate([(THERE, "min")])
    repeats = whole.num_rows - firsts.num_rows
    if repeats and join.repeats == "refuse":
        raise WorkError(
            f"joins: {repeats:,} rows of {join.source} repeat the key {', '.join(keys)}, so rows would multiply",
            hint="join on more columns, or write repeats: first",
        )
    rows = firsts[f"{THERE}_min"]
    return whole.take(rows.take(pc.sort_indices(rows)))


def add(table: pa.Table, other: pa.Table, join: Join) -> pa.Table:
    """The table with the taken columns at its end; missing where no key is equal. A missing key equals nothing."""
    here = table.select(list(join.keys.values())).append_column(ROW, _numbers(table))
    there = other.select(list(join.keys)).append_column(THERE, _numbers(other))
    pairs = here.join(there, keys=list(join.keys.values()), right_keys=list(join.keys), join_type="left outer", use_threads=False)
    found = pairs.sort_by(ROW)[THERE]
    for name, new in join.taken.items():
        table = table.append_column(new, other[name].take(found))
    return table


def _numbers(table: pa.Table) -> pa.Array:
    return pa.array(np.arange(table.num_rows))
