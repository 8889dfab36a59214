from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlray.features.rows import InputColumn
from mlray.features.spec import Features
from mlray.features.transform import Transform

FEATURES = Features(number=("distance", "temp"), category=("carrier",), time=("time_hour",))
NOON = datetime(2013, 6, 3, 12, tzinfo=UTC)  # a Monday


def table(distance=(100, 200), temp=(10.5, None), carrier=("UA", "AA"), time_hour=(NOON, None)) -> pa.Table:
    return pa.table(
        {
            "distance": pa.array(distance, pa.int64()),
            "temp": pa.array(temp, pa.float64()),
            "carrier": pa.array(carrier, pa.string()),
            "time_hour": pa.array(time_hour, pa.timestamp("us", "UTC")),
        }
    )


def test_one_row_becomes_five_numbers_in_the_order_of_the_names():
    fitted = Transform.fit(table(), FEATURES)
    assert fitted.names == ("distance", "temp", "carrier", "time_hour.hour", "time_hour.weekday")
    seen = fitted.apply(table())
    assert seen.dtype == np.float32 and seen.shape == (2, 5)
    assert seen[0].tolist() == [100.0, 10.5, 1.0, 12.0, 0.0]
    assert np.isnan(seen[1]).tolist() == [False, True, False, True, True]


def test_a_carrier_never_seen_in_training_is_missing():
    fitted = Transform.fit(table(), FEATURES)
    assert np.isnan(fitted.apply(table(carrier=("ZZ", None)))[:, 2]).all()


def test_json_rows_and_stored_rows_give_the_same_bits():
    fitted = Transform.from_json(Transform.fit(table(), FEATURES).to_json())
    sent = fitted.table(
        {"carrier": ["UA", "AA"], "distance": [100, 200], "temp": [10.5, None], "time_hour": ["2013-06-03T12:00:00Z", None]}
    )
    assert fitted.apply(sent).tobytes() == fitted.apply(table()).tobytes()


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-(2**53), 2**53),
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
            st.none() | st.sampled_from(["UA", "AA", "ZZ", "", "ö"]),
            st.none() | st.datetimes(datetime(1950, 1, 1), datetime(2090, 1, 1)).map(lambda t: t.replace(tzinfo=UTC)),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_any_row_sent_as_json_gives_the_same_bits_as_from_a_stored_table(rows):
    distance, temp, carrier, time_hour = map(list, zip(*rows, strict=True))
    fitted = Transform.fit(table(), FEATURES)
    stored = fitted.apply(table(distance, temp, carrier, time_hour))
    texts = [t and t.astimezone(timezone(timedelta(hours=-5))).isoformat() for t in time_hour]
    sent = fitted.table({"distance": distance, "temp": temp, "carrier": carrier, "time_hour": texts})
    assert fitted.apply(sent).tobytes() == stored.tobytes()
    assert not np.isinf(stored).any()


def test_a_chunked_table_gives_the_same_bits_as_one_chunk():
    fitted = Transform.fit(table(), FEATURES)
    chunked = pa.concat_tables([table(), table(carrier=("ZZ", "AA")), table().slice(0, 0)])
    assert fitted.apply(chunked).tobytes() == fitted.apply(chunked.combine_chunks()).tobytes()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"temp": ["10.5", 1]}, "column 'temp', row 0: '10.5' is not a number"),
        ({"temp": [True, 1]}, "column 'temp', row 0: True is not a number"),
        ({"temp": [1, float("inf")]}, "column 'temp', row 1: inf is not finite"),
        ({"distance": [10**400, 1]}, "column 'distance' holds a whole number too large"),
        ({"carrier": ["UA", 7]}, "column 'carrier', row 1: 7 is not text"),
        ({"time_hour": ["noon", None]}, "column 'time_hour', row 0: 'noon' is not ISO 8601"),
        ({"temp": [1.0]}, "columns differ in length"),
        ({"late": [0, 1]}, "column 'late' is none the model knows"),
    ],
)
def test_a_wrong_json_column_is_refused_by_name_and_value(change, says):
    fitted = Transform.fit(table(), FEATURES)
    rows = {"distance": [1, 2], "temp": [1.0, None], "carrier": ["UA", "AA"], "time_hour": [None, None]}
    with pytest.raises(ValueError, match=says.replace("(", r"\(")):
        fitted.table(rows | change)


def test_a_missing_json_column_is_refused_with_the_columns_the_model_needs():
    fitted = Transform.fit(table(), FEATURES)
    with pytest.raises(ValueError, match="column 'temp' is missing; the model needs distance, temp, carrier, time_hour"):
        fitted.table({"distance": [1], "carrier": ["UA"], "time_hour": [None]})


def test_a_table_without_a_feature_is_refused_with_the_columns_it_has():
    with pytest.raises(ValueError, match="no column carrier; there are distance"):
        Transform.fit(table().select(["distance", "temp", "time_hour"]), FEATURES)


def test_a_feature_name_that_xgboost_refuses_is_refused_at_fitting():
    with pytest.raises(ValueError, match="'a<b' holds one of"):
        Transform.fit(pa.table({"a<b": [1.0]}), Features(number=("a<b",)))


def test_inputs_tell_a_caller_what_to_send():
    assert Transform.fit(table(), FEATURES).inputs[2:] == (InputColumn("carrier", "category"), InputColumn("time_hour", "time"))
