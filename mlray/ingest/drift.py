"""How far a column has moved from one version to the next, from their statistics alone."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlray.ingest import histogram, stats
from mlray.ingest.histogram import Histogram

Counts = NDArray[np.float64]
Column = dict[str, Any]
GROUPS = 10  # of about equal size before, over which the stability index is taken
LEAST = 1e-4  # share that an empty group counts as; of none, the index would be without bound


def distance(before: Column, now: Column, measure: Literal["psi", "ks", "js"]) -> float | None:
    """0 for the same distribution; None where the columns cannot be compared: another type, hidden, or without a value.

    Missing values count as a value of their own.
    """
    if before["kind"] != now["kind"] or before["kind"] == stats.HIDDEN or not before["rows"] or not now["rows"]:
        return None
    old, new = _counts(before, now)
    if measure == "ks":
        return float(np.abs(np.cumsum(old / old.sum()) - np.cumsum(new / new.sum())).max())
    return stability(*_grouped(old, new)) if measure == "psi" else jensen_shannon(old, new)


def stability(old: Counts, new: Counts) -> float:
    """Population stability index: below 0.1 is usually called stable, above 0.25 moved."""
    before, now = (np.maximum(side / side.sum(), LEAST) for side in (old, new))
    return float(((now - before) * np.log(now / before)).sum())


def jensen_shannon(old: Counts, new: Counts) -> float:
    """Distance from 0 to 1: the root of the divergence to base 2."""
    before, now = old / old.sum(), new / new.sum()
    middle = (before + now) / 2
    parts = [side[side > 0] * np.log2(side[side > 0] / middle[side > 0]) for side in (before, now)]
    return float(np.sqrt(max(0.0, sum(part.sum() for part in parts) / 2)))


def _counts(before: Column, now: Column) -> tuple[Counts, Counts]:
    """Rows over the same bins, missing ones (and NaN) last."""
    if before["kind"] != stats.VALUE:
        old, new = histogram.align(*(Histogram.from_json(side["histogram"]) for side in (before, now)))
    elif before["values"] is not None and now["values"] is not None:
        names = sorted(before["values"].keys() | now["values"].keys())
        old, new = (np.array([side["values"].get(name, 0) for name in names], float) for side in (before, now))
    else:
        old, new = (np.array(stats.buckets(side), float) for side in (before, now))
    return _with_missing(old, before), _with_missing(new, now)


def _with_missing(counts: Counts, column: Column) -> Counts:
    """Counted rows stand for all that have a value: in large blocks they are a sample."""
    there = column["finite"] if column["kind"] != stats.VALUE else column["rows"] - column["nulls"]
    return np.append(counts * (there / max(1.0, counts.sum())), column["rows"] - there)


def _grouped(old: Counts, new: Counts) -> tuple[Counts, Counts]:
    """Neighbours put together until each group holds about a tenth of what was there before; missing values stay alone."""
    place = np.floor((np.cumsum(old[:-1]) - old[:-1] / 2) / max(1.0, old[:-1].sum()) * GROUPS).astype(int).clip(0, GROUPS - 1)
    return tuple(np.append(np.bincount(place, side[:-1], GROUPS), side[-1]) for side in (old, new))  # type: ignore[return-value]
