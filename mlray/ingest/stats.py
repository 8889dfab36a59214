"""Statistics of sealed columns: what the report of a version shows, and what drift is measured by.

    split -> {"rows": n, "columns": {column: {"kind": ..., "rows": n, "nulls": n, ...}}}

A few kilobytes a block, merged without error: the statistics of all rows are the same in whatever blocks they came. Of columns
that are protected, only rows and missing values are counted. In a block of many rows, histograms and frequent values are those of
some 8,192 rows chosen by a hash, each standing for as many as it was chosen from (`every`); all else is of every row.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlray.ingest import histogram
from mlray.ingest.hashes import mix
from mlray.ingest.histogram import Histogram
from mlray.ingest.spec import IngestJob
from mlray.ingest.splits import REJECTED

Stats = dict[str, Any]  # by split
Places = NDArray[np.int64]
Column = dict[str, Any]
NUMBER, MOMENT, VALUE, HIDDEN = "number", "moment", "value", "hidden"  # kinds of columns

VALUES = 128  # distinct values that are counted by name
LONGEST = 64  # characters of such a value: what is longer is text to read
NARROW = 1 << 14  # between the least and the largest whole number, below which each is counted
SAMPLED = 1 << 13  # rows whose distribution stands for the block's, where it has at least twice as many
BUCKETS = 64  # into which values are counted where there are more


def of(pieces: Mapping[str, pa.Table], job: IngestJob) -> Stats:
    """Of the tables that are sealed, by split; rejected rows are counted elsewhere, by reason."""
    hidden = job.protection
    return {
        split: {"rows": table.num_rows, "columns": {name: column(table[name], name in hidden) for name in table.column_names}}
        for split, table in pieces.items()
        if split != REJECTED
    }


def merge(found: Iterable[Stats]) -> Stats:
    """Of all rows together. Give it an iterator: two at a time are in memory."""
    return reduce(_both, found, {})


def over_splits(stats: Stats, name: str) -> Column | None:
    """A column in all splits together; None where there is no such column."""
    found = [split["columns"][name] for split in stats.values() if name in split["columns"]]
    return reduce(_merged, found) if found else None


def column(values: pa.ChunkedArray, hidden: bool) -> Column:
    kind = HIDDEN if hidden else _kind(values.type)
    base: Column = {"kind": kind, "rows": len(values), "nulls": values.null_count}
    if kind == HIDDEN:
        return base
    flat = values.chunk(0) if values.num_chunks == 1 else values.combine_chunks()
    there = flat.drop_null() if flat.null_count else flat
    return base | (_some_values(there) if kind == VALUE else _numbers(there))


def buckets(found: Column) -> list[int]:
    """The rows of a column of values in each of 64 buckets, whether they were counted by name or not."""
    if found["values"] is None:
        return list(found["buckets"])
    return _bucketed(pa.array(list(found["values"]), pa.string()), list(found["values"].values()))


def deviation(found: Column) -> float | None:
    """Standard deviation of a column of numbers."""
    return math.sqrt(found["m2"] / (found["finite"] - 1)) if found["finite"] > 1 else None


def to_rows(stats: Stats) -> list[tuple[str, str, str]]:
    """(split, column, JSON) of each column, and of each split under no column."""
    rows = []
    for split, facts in sorted(stats.items()):
        rows.append((split, "", json.dumps({"rows": facts["rows"]})))
        rows += [(split, name, json.dumps(found)) for name, found in facts["columns"].items()]
    return rows


def from_rows(rows: Sequence[tuple[str, str, str]]) -> Stats:
    stats: Stats = {}
    for split, name, text in rows:
        facts = stats.setdefault(split, {"rows": 0, "columns": {}})
        facts["columns" if name else "rows"] = facts["columns"] | {name: json.loads(text)} if name else json.loads(text)["rows"]
    return stats


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return MOMENT
    if pa.types.is_string(kind) or pa.types.is_boolean(kind) or kind == pa.int8():
        return VALUE  # int8 is the label: 0 or 1
    return HIDDEN if pa.types.is_binary(kind) else NUMBER


def _numbers(there: pa.Array) -> Column:
    """Moments are microseconds since 1970. NaN and infinities are counted, and in none of the others."""
    whole = pa.types.is_integer(there.type) or pa.types.is_timestamp(there.type)
    plain = (there.cast(pa.int64()) if whole else there).to_numpy()
    # numpy's min and max take a twentieth of the time of Arrow's, whose fixed cost is a fifth of a millisecond.
    if whole and len(plain) and int(plain.max()) - int(plain.min()) < NARROW:
        return _counted(plain)
    numbers = plain.astype(np.float64, copy=False)
    if not np.isfinite(numbers.sum()):
        plain = numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return {"finite": 0, "min": None, "max": None, "mean": 0.0, "m2": 0.0, "every": 1, "histogram": histogram.EMPTY.to_json()}
    mean = float(numbers.mean())
    away = numbers - mean
    away *= away  # not np.dot, whose threads took five times as long on busy cores
    return {
        "finite": len(numbers),
        "min": plain.min().item(),
        "max": plain.max().item(),
        "mean": mean,
        "m2": float(away.sum()),
        **_distribution(numbers),
    }


def _distribution(numbers: histogram.Numbers) -> Column:
    chosen, every = _chosen(len(numbers))
    found = histogram.of(numbers if every == 1 else numbers[chosen])
    return {"every": every, "histogram": Histogram(found.shift, found.keys, found.counts * every).to_json()}


def _chosen(rows: int) -> tuple[Places, int]:
    """Which rows stand for all of them, and for how many each; not every third, which would meet the rhythm of some sources."""
    every = rows // SAMPLED
    if every < 2:
        return np.zeros(0, np.int64), 1
    among = _among(every)
    return among[: bisect_left(among, rows)], every


@cache
def _among(every: int) -> Places:
    return np.flatnonzero(mix(np.arange((every + 1) * SAMPLED, dtype=np.uint64)) % np.uint64(every) == 0)


def _counted(numbers: histogram.Whole) -> Column:
    """Whole numbers that lie close together, by how often each is there: a third of the time."""
    least = int(numbers.min())
    counts = np.bincount(numbers - least)
    values = np.flatnonzero(counts)
    counts = counts[values]
    mean = float((values * counts).sum() / len(numbers))
    squares = float((counts * (values - mean) ** 2).sum())
    found = histogram.of_counts((values + least).astype(np.float64), counts).to_json()
    ends = {"min": least, "max": least + int(values[-1])}
    return {"finite": len(numbers), **ends, "mean": mean + least, "m2": squares, "every": 1, "histogram": found}


def _some_values(there: pa.Array) -> Column:
    chosen, every = _chosen(len(there)) if pa.types.is_string(there.type) else (None, 1)
    found = _values(there if every == 1 else there.take(pa.array(chosen)))
    if found["values"] is not None:
        return {"every": every, "values": {name: count * every for name, count in found["values"].items()}}
    return {"every": every, "values": None, "buckets": [count * every for count in found["buckets"]]}


def _values(there: pa.Array) -> Column:
    if not pa.types.is_string(there.type):
        counted = there.value_counts()
        names, counts = counted.field("values").cast(pa.string()).to_pylist(), counted.field("counts").to_pylist()
        return {"values": dict(zip(names, counts, strict=True))}
    if pc.count_distinct(there.slice(0, 1000)).as_py() > VALUES:
        return {"values": None, "buckets": _bucketed(there)}
    counted = there.value_counts()
    texts, counts = counted.field("values"), counted.field("counts").to_pylist()
    if len(texts) > VALUES or (len(texts) and pc.max(pc.utf8_length(texts)).as_py() > LONGEST):
        return {"values": None, "buckets": _bucketed(texts, counts)}
    return {"values": dict(zip(texts.to_pylist(), counts, strict=True))}


def _bucketed(text: pa.Array, counts: Sequence[int] | None = None) -> list[int]:
    """By length and four characters: a thirtieth of the time of a hash of the whole, and as good at telling that a column changed."""
    data = text.cast(pa.large_binary())
    offsets = np.frombuffer(data.buffers()[1], np.int64)[data.offset : data.offset + len(data) + 1]
    bytes_ = np.frombuffer(data.buffers()[2] or b"\0", np.uint8)
    begin, size = offsets[:-1], np.diff(offsets)
    mixed = size.astype(np.uint64)
    for part in range(4):
        place = np.where(size > 0, begin + (size - 1) * part // 3, 0)
        mixed = mixed * np.uint64(257) + np.where(size > 0, bytes_[place] if len(bytes_) else 0, 0).astype(np.uint64)
    where = (mix(mixed) % np.uint64(BUCKETS)).astype(np.int64)
    found: list[int] = np.bincount(where, weights=counts, minlength=BUCKETS).astype(np.int64).tolist()
    return found


def _both(left: Stats, right: Stats) -> Stats:
    return {split: _split(left.get(split), right.get(split)) for split in sorted(left.keys() | right.keys())}


def _split(left: Stats | None, right: Stats | None) -> Stats:
    if left is None or right is None:
        return left or right or {}
    names = dict.fromkeys((*left["columns"], *right["columns"]))
    columns = {name: [side["columns"][name] for side in (left, right) if name in side["columns"]] for name in names}
    return {"rows": left["rows"] + right["rows"], "columns": {name: reduce(_merged, found) for name, found in columns.items()}}


def _merged(left: Column, right: Column) -> Column:
    base = {"kind": left["kind"], "rows": left["rows"] + right["rows"], "nulls": left["nulls"] + right["nulls"]}
    if left["kind"] == HIDDEN or right["kind"] != left["kind"]:
        return base | {"kind": HIDDEN}
    return base | (_merged_values(left, right) if left["kind"] == VALUE else _merged_numbers(left, right))


def _merged_values(left: Column, right: Column) -> Column:
    every = {"every": max(left["every"], right["every"])}
    if left["values"] is not None and right["values"] is not None:
        counts = dict(left["values"])
        for name, count in right["values"].items():
            counts[name] = counts.get(name, 0) + count
        if len(counts) <= VALUES:
            return every | {"values": counts}
        return every | {"values": None, "buckets": _bucketed(pa.array(list(counts), pa.string()), list(counts.values()))}
    return every | {"values": None, "buckets": [a + b for a, b in zip(buckets(left), buckets(right), strict=True)]}


def _merged_numbers(left: Column, right: Column) -> Column:
    """Chan's update of mean and squares."""
    if not left["finite"] or not right["finite"]:
        kept = left if left["finite"] else right
        return {name: kept[name] for name in ("finite", "min", "max", "mean", "m2", "every", "histogram")}
    count, apart = left["finite"] + right["finite"], right["mean"] - left["mean"]
    sides = [Histogram.from_json(side["histogram"]) for side in (left, right)]
    return {
        "finite": count,
        "min": min(left["min"], right["min"]),
        "max": max(left["max"], right["max"]),
        "mean": left["mean"] + apart * right["finite"] / count,
        "m2": left["m2"] + right["m2"] + apart * apart * left["finite"] * right["finite"] / count,
        "every": max(left["every"], right["every"]),
        "histogram": histogram.merge(sides).to_json(),
    }
