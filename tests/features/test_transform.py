from __future__ import annotations

import subprocess
import sys
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


FITTED = {
    "number": ("distance", "temp", "wind", "noise"),
    "category": ("carrier",),
    "time": ("time_hour",),
    "pca": {"components": 2, "of": ("distance", "temp", "wind")},
}


def many(count: int = 400) -> tuple[pa.Table, np.ndarray]:
    rng = np.random.default_rng(5)
    carrier, wind = rng.choice(["UA", "AA", "DL"], count), rng.gamma(2, 5, count)
    label = (carrier == "UA") & (rng.random(count) < 0.8)
    plain = table(rng.integers(100, 3000, count), rng.normal(15, 8, count), carrier, [NOON + timedelta(hours=int(i)) for i in range(count)])
    gaps = pa.array(np.where(rng.random(count) < 0.2, np.nan, wind), from_pandas=True)
    return plain.append_column("wind", gaps).append_column("noise", pa.array(rng.normal(0, 1, count))), label.astype(np.float32)


def test_components_stand_behind_the_features_they_leave():
    rows, labels = many()
    fitted = Transform.fit(rows, Features.model_validate(FITTED), labels)
    assert fitted.names == ("noise", "carrier", "time_hour.hour", "time_hour.weekday", "pca.1", "pca.2")
    assert fitted.categories.tolist() == [False, True, True, True, False, False]
    plain = Transform.fit(rows, Features(number=("noise",), category=("carrier",), time=("time_hour",)))
    assert fitted.apply(rows)[:, :4].tobytes() == plain.apply(rows).tobytes()
    assert np.isfinite(fitted.apply(rows)[:, 4:]).all()


@pytest.mark.parametrize("most", [1, 3, 6])
def test_a_fitted_transform_gives_a_request_the_bits_it_gave_in_training(most):
    rows, labels = many()
    fitted = Transform.fit(rows, Features.model_validate(FITTED | {"select": {"most": most}}), labels, seed=7)
    assert len(fitted.names) == most and "carrier" in fitted.names
    served = Transform.from_json(fitted.to_json())
    assert served == fitted
    sent = {column.name: rows[column.name].to_pylist() for column in served.inputs}
    sent |= {name: [value.isoformat() for value in sent[name]] for name in sent if name == "time_hour"}
    trained = fitted.apply(rows)
    assert served.apply(served.table(sent)).tobytes() == trained.tobytes()
    for place in (0, 7, 399):
        one = {name: values[place : place + 1] for name, values in sent.items()}
        assert served.apply(served.table(one)).tobytes() == trained[place : place + 1].tobytes()


def test_a_column_that_nothing_selected_is_made_of_is_no_input():
    rows, labels = many()
    fitted = Transform.fit(rows, Features.model_validate(FITTED | {"select": {"most": 1}}), labels)
    assert fitted.inputs == (InputColumn("carrier", "category"),) and fitted.pca is None
    assert fitted.apply(rows.select(["carrier"])).shape == (400, 1)


def test_a_plain_transform_is_of_format_1_and_a_fitted_one_of_2():
    rows, labels = many()
    assert '"format": 1' in Transform.fit(table(), FEATURES).to_json()
    assert '"format": 2' in Transform.fit(rows, Features.model_validate(FITTED), labels).to_json()
    with pytest.raises(ValueError, match="not of format 1 or 2"):
        Transform.from_json('{"format": 3}')


def test_serving_a_fitted_transform_loads_no_library_that_fits():
    rows, labels = many()
    text = Transform.fit(rows, Features.model_validate(FITTED | {"select": {"most": 5}}), labels).to_json()
    script = """
import sys
from mlray.features.transform import Transform
served = Transform.from_json(sys.stdin.read())
row = {column.name: ["UA" if column.kind == "category" else None] for column in served.inputs}
served.apply(served.table(row))
print(sorted({name.split(".")[0] for name in sys.modules} & {"sklearn", "imblearn", "scipy"}))
"""
    done = subprocess.run([sys.executable, "-c", script], input=text, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pca": {"components": 4, "of": ("distance", "temp", "wind")}}, r"components \(4\) is above the 3 columns"),
        ({"pca": {"components": 1, "of": ("distance", "carrier")}}, "pca is made of carrier, not named under number"),
        ({"pca": {"components": 1, "of": ("temp", "temp")}}, "temp is named twice"),
        ({"select": {"most": 3, "by": "f_test"}}, "select by f_test cannot rank category 'carrier'"),
    ],
)
def test_features_that_contradict_themselves_are_refused(change, says):
    with pytest.raises(ValueError, match=says):
        Features.model_validate(FITTED | change)


def test_a_column_named_like_a_component_is_refused():
    rows = pa.table({"pca.1": [1.0, 2.0, 3.0], "b": [1.0, 5.0, 3.0], "c": [2.0, 2.0, 9.0]})
    features = Features.model_validate({"number": ("pca.1", "b", "c"), "pca": {"components": 1, "of": ("b", "c")}})
    with pytest.raises(ValueError, match=r"column 'pca\.1' has the name of a component"):
        Transform.fit(rows, features, np.array([0, 1, 0]))
