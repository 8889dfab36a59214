"""Tumbling and sliding windows over any batching of the same rows: panes are summed up, windows are made of panes.

A pane is an interval no window begins or ends inside, so each row is counted once, however many windows it lies in, and what
has to be carried from batch to batch is one row a pane and group. Times are microseconds since 1970.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlray.ingest.stream import Aggregate, Max, Mean, Min, Sum, Window

PANE, START, END = "_pane", "window_start", "window_end"
TIME = pa.timestamp("us", tz="UTC")
Pair = tuple[str, str]  # (column, how it is summed up)


@dataclass(frozen=True, slots=True)
class Closed:
    """Windows that ended, and the panes that windows still open will need."""

    rows: pa.Table
    open: pa.Table


def panes(rows: pa.Table, window: Window, time: str) -> pa.Table:
    """What the rows add to each pane and group. Rows without a time are in none."""
    rows = rows.filter(rows[time].is_valid())
    at = _us(rows[time])
    table = rows.select(window.by).append_column(PANE, _floor(at, pane_us(window)))
    for name, how in window.compute.items():
        for part, values in _parts(rows, name, how):
            table = table.append_column(part, values)
    return _summed(table, [PANE, *window.by], window)


def merge(tables: Sequence[pa.Table], window: Window) -> pa.Table:
    """Panes of several batches as one: the order and the borders of the batches leave no trace."""
    return _summed(pa.concat_tables(tables), [PANE, *window.by], window)


def close(found: pa.Table, window: Window, before: int | None, now: int | None) -> Closed:
    """The windows with before < end <= now. Each window ends once, so it is emitted once, with all that came before it ended."""
    if now is None:
        return Closed(finish(found.slice(0, 0).append_column(START, pa.array([], pa.int64())), window), found)
    pieces = [found.slice(0, 0).append_column(START, pa.array([], pa.int64()))]
    pane = _int(found[PANE])
    for start in starts(pane, window):
        end = start + window.size_us
        ends = (start + window.size_us > pane) & (end <= now) & ((before is None) | (end > (before or 0)))
        pieces.append(found.append_column(START, pa.array(start)).filter(pa.array(ends)))
    last = _floor_np(pane, window.slide_us) + window.size_us
    return Closed(finish(pa.concat_tables(pieces), window), found.filter(pa.array(last > now)))


def starts(pane: np.ndarray, window: Window) -> list[np.ndarray]:
    """The starts of the windows that may hold each pane, newest first."""
    newest = _floor_np(pane, window.slide_us)
    return [newest - back * window.slide_us for back in range(math.ceil(window.size_us / window.slide_us))]


def finish(found: pa.Table, window: Window) -> pa.Table:
    """Panes told apart by their window -> one row a window and group, ordered by both."""
    summed = _summed(found.drop_columns([PANE]), [START, *window.by], window)
    order = [(START, "ascending"), *((name, "ascending") for name in window.by)]
    summed = summed.take(pc.sort_indices(summed, sort_keys=order))
    columns = {name: summed[name] for name in window.by}
    columns[START] = summed[START].cast(TIME)
    columns[END] = pc.add(summed[START], window.size_us).cast(TIME)
    for name, how in window.compute.items():
        columns[name] = _feature(summed, name, how)
    return pa.table(columns)


def pane_us(window: Window) -> int:
    return math.gcd(window.size_us, window.slide_us)


def _parts(rows: pa.Table, name: str, how: Aggregate) -> list[tuple[str, pa.ChunkedArray | pa.Array]]:
    """The columns a feature is summed up in: a mean is not a sum of means, so its sum and its count are kept."""
    match how:
        case Sum(sum=column) | Mean(mean=column):
            values = rows[column] if pa.types.is_integer(rows[column].type) else rows[column].cast(pa.float64())
            parts: list[tuple[str, pa.ChunkedArray | pa.Array]] = [(f"{name}.sum", values)]
            return [*parts, (f"{name}.count", values.is_valid().cast(pa.int64()))] if isinstance(how, Mean) else parts
        case Min(min=column):
            return [(f"{name}.min", rows[column])]
        case Max(max=column):
            return [(f"{name}.max", rows[column])]
    return [(f"{name}.count", pa.array(np.ones(rows.num_rows, np.int64)))]


def _pairs(window: Window) -> list[Pair]:
    """(column, aggregate function) of every part."""
    found: list[Pair] = []
    for name, how in window.compute.items():
        match how:
            case Sum() | Mean():
                found += [(f"{name}.sum", "sum")] + ([(f"{name}.count", "sum")] if isinstance(how, Mean) else [])
            case Min():
                found.append((f"{name}.min", "min"))
            case Max():
                found.append((f"{name}.max", "max"))
            case _:
                found.append((f"{name}.count", "sum"))
    return found


def _summed(table: pa.Table, keys: list[str], window: Window) -> pa.Table:
    pairs = _pairs(window)
    # One thread, so that floats are added up in the same order in every attempt.
    summed = table.group_by(keys, use_threads=False).aggregate(pairs)
    return summed.select([*keys, *(f"{column}_{how}" for column, how in pairs)]).rename_columns([*keys, *(column for column, _ in pairs)])


def _feature(summed: pa.Table, name: str, how: Aggregate) -> pa.ChunkedArray:
    match how:
        case Sum():
            return summed[f"{name}.sum"]
        case Mean():
            total, count = summed[f"{name}.sum"].cast(pa.float64(), safe=False), summed[f"{name}.count"]
            return pc.divide(total, pc.if_else(pc.equal(count, 0), None, count).cast(pa.float64()))
        case Min():
            return summed[f"{name}.min"]
        case Max():
            return summed[f"{name}.max"]
    return summed[f"{name}.count"]


def _us(times: pa.ChunkedArray) -> pa.ChunkedArray:
    return times.cast(TIME).cast(pa.int64())


def _floor(values: pa.ChunkedArray, step: int) -> pa.Array:
    return pa.array(_floor_np(_int(values), step))


def _floor_np(values: np.ndarray, step: int) -> np.ndarray:
    return values // step * step  # towards the past, also before 1970


def _int(values: pa.ChunkedArray) -> np.ndarray:
    whole: np.ndarray = values.to_numpy().astype(np.int64, copy=False)
    return whole
