"""Rows set aside before they are checked: late ones, and those that repeat a key. They are rejected with their reason like any other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlray.errors import WorkError
from mlray.ingest.blend import Duplicates, Late
from mlray.sources.typed import UNREADABLE


def set_aside(rows: pa.Table, mask: pa.Array | pa.ChunkedArray, reason: str) -> pa.Table:
    """With the reason in `_unreadable` where the mask is true; a reason that stands there already stays."""
    place = rows.schema.get_field_index(UNREADABLE)
    before = rows[UNREADABLE] if place >= 0 else pa.nulls(rows.num_rows, pa.string())
    now = pc.if_else(pc.and_(pc.fill_null(mask, False), before.is_null()), reason, before)
    return rows.set_column(place, UNREADABLE, now) if place >= 0 else rows.append_column(UNREADABLE, now)


def repeats(rows: pa.Table, numbers: Sequence[int] | np.ndarray, rule: Duplicates) -> pa.Table:
    """The rows of these numbers, counted within the piece, are set aside."""
    if not len(numbers):
        return rows
    mask = np.zeros(rows.num_rows, bool)
    mask[np.asarray(numbers)] = True
    return set_aside(rows, pa.array(mask), f"repeats {', '.join(rule.key)}")


def refuse_repeats(count: int, rule: Duplicates) -> None:
    if count and rule.keep == "refuse":
        raise WorkError(f"{count:,} rows repeat the key {', '.join(rule.key)}", hint="correct the source, or write keep: first or last")


def late_before(rule: Late | None, seen: datetime | None) -> datetime | None:
    """The time before which a row is late, given the newest one the version before had; None when none can be late."""
    return seen - timedelta(seconds=rule.behind.seconds) if rule and rule.do != "keep" and seen else None


def late(rows: pa.Table, rule: Late, before: datetime) -> tuple[pa.Table, dict[str, int]]:
    """The rows, and how many are late where that is only counted."""
    mask = pc.fill_null(pc.less(rows[rule.column], pa.scalar(before, pa.timestamp("us", tz="UTC"))), False)
    if rule.do == "reject":
        return set_aside(rows, mask, "late"), {}
    count = pc.sum(mask).as_py() or 0
    return rows, {"late": count} if count else {}
