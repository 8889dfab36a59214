"""Train, validation and test by time: nothing later may teach anything earlier."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pyarrow as pa
import pyarrow.compute as pc

from mlray.ingest.spec import TimeSplit

TRAIN, VALIDATION, TEST = "train", "validation", "test"


def split(table: pa.Table, by: TimeSplit) -> dict[str, pa.Table]:
    """Rows by split: train < validation_from <= validation < test_from <= test (midnight UTC). A missing time is in none."""
    moment = table[by.column]
    validation, test = _midnight(by.validation_from), _midnight(by.test_from)
    return {
        TRAIN: table.filter(pc.less(moment, validation)),
        VALIDATION: table.filter(pc.and_(pc.greater_equal(moment, validation), pc.less(moment, test))),
        TEST: table.filter(pc.greater_equal(moment, test)),
    }


def _midnight(day: date) -> pa.Scalar:
    return pa.scalar(datetime.combine(day, time.min, UTC), pa.timestamp("us", tz="UTC"))
