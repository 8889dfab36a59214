"""Splits are ordered in time and share no instant."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from mlray.ingest.spec import TimeSplit
from mlray.ingest.split import split

BY = TimeSplit(by="time", column="at", validation_from=date(2013, 9, 1), test_from=date(2013, 11, 1))
UTC_US = pa.timestamp("us", tz="UTC")


def test_the_first_instant_of_a_period_belongs_to_it():
    borders = [datetime(2013, 9, 1, tzinfo=UTC), datetime(2013, 11, 1, tzinfo=UTC)]
    moments = [moment for border in borders for moment in (border - timedelta(microseconds=1), border)]
    pieces = split(pa.table({"at": pa.array(moments, UTC_US)}), BY)
    assert [pieces[name].num_rows for name in ("train", "validation", "test")] == [1, 2, 1]


@given(st.lists(st.one_of(st.none(), st.datetimes(datetime(2013, 1, 1), datetime(2014, 1, 1), timezones=st.just(UTC))), max_size=50))
def test_every_row_with_a_time_is_in_exactly_one_split_and_none_overlap(moments: list[datetime | None]):
    pieces = split(pa.table({"at": pa.array(moments, UTC_US)}), BY)
    kept = {name: piece["at"].to_pylist() for name, piece in pieces.items()}
    assert sorted(moment for piece in kept.values() for moment in piece) == sorted(moment for moment in moments if moment)
    assert max(kept["train"], default=datetime.min.replace(tzinfo=UTC)) < datetime(2013, 9, 1, tzinfo=UTC)
    assert min(kept["test"], default=datetime.max.replace(tzinfo=UTC)) >= datetime(2013, 11, 1, tzinfo=UTC)
    assert all(datetime(2013, 9, 1, tzinfo=UTC) <= moment < datetime(2013, 11, 1, tzinfo=UTC) for moment in kept["validation"])
