"""Which rows are late, and how far time has come: pure functions of what each partition has brought so far.

Times are microseconds since 1970. What counts is the watermark before a batch, so a row is judged the same whichever task of
the batch reads it, and a batch that is read again is judged the same.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from mlray.ingest.stream import Watermark
from mlray.sources.typed import UNREADABLE

LATE = "late"
Newest = Mapping[str, int]  # partition -> its newest time


def advance(before: int | None, newest: Newest, rule: Watermark) -> int | None:
    """The watermark: the newest time of the partition that lags most, less the delay. It never goes back; None before any row."""
    if not newest:
        return before
    idle, delay = _us(rule.idle.seconds), _us(rule.delay.seconds)
    awake = [time for time in newest.values() if time >= max(newest.values()) - idle]
    now = min(awake) - delay
    return now if before is None else max(before, now)


def newer(before: Newest, found: Newest) -> dict[str, int]:
    """The newest times after a batch."""
    both = {**before, **found}
    return {name: max(before.get(name, time), time) for name, time in both.items()}


def newest(rows: pa.Table, rule: Watermark) -> int | None:
    return pc.max(rows[rule.column].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())).as_py()  # type: ignore[no-any-return]


def is_late(rows: pa.Table, rule: Watermark, watermark: int | None) -> pa.ChunkedArray:
    """True where a row's time is before the watermark. A row without a time is not late: a check says what becomes of it."""
    if watermark is None:
        return pa.chunked_array([pa.repeat(False, rows.num_rows)])
    times = rows[rule.column].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    return pc.fill_null(pc.less(times, watermark), False)


def judge(rows: pa.Table, rule: Watermark, watermark: int | None) -> tuple[pa.Table, int]:
    """The rows, and how many are late. With `late: reject` they carry their reason, and are sealed as rejected."""
    late = is_late(rows, rule, watermark)
    count = pc.sum(late).as_py() or 0
    if rule.late != "reject" or not count:
        return rows, count
    if UNREADABLE not in rows.column_names:
        return rows.append_column(UNREADABLE, pc.if_else(late, LATE, pa.scalar(None, pa.string()))), count
    place = rows.column_names.index(UNREADABLE)
    return rows.set_column(place, UNREADABLE, pc.if_else(pc.and_(late, rows[UNREADABLE].is_null()), LATE, rows[UNREADABLE])), count


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)
