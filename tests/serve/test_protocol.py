"""Open Inference Protocol v2: what is read, what is refused and in which words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlray.features.rows import InputColumn
from mlray.serve.protocol import InferRequest, Malformed, model_metadata, read_request, response

DATATYPES = "BYTES, FP16, FP32, FP64, INT16, INT32, INT64, INT8, UINT16, UINT32, UINT64, UINT8"


def tensor(**changed: Any) -> dict[str, Any]:
    return {"name": "distance", "shape": [2], "datatype": "FP64", "data": [1.5, None]} | changed


def body(*tensors: dict[str, Any], **changed: Any) -> bytes:
    return json.dumps({"inputs": list(tensors or [tensor()])} | changed).encode()


def refusal(sent: bytes) -> str:
    told = read_request(sent)
    assert isinstance(told, Malformed)
    assert "\n" not in told.reason
    return told.reason


def test_tensors_become_columns_and_null_a_missing_value():
    carrier = {"name": "carrier", "shape": [2, 1], "datatype": "BYTES", "data": [["UA"], [None]]}
    read = read_request(body(tensor(), carrier, id="42"))
    assert read == InferRequest({"distance": [1.5, None], "carrier": ["UA", None]}, 2, "42")


def test_a_column_of_shape_n_by_1_may_be_flat():
    assert read_request(body(tensor(shape=[2, 1]))) == InferRequest({"distance": [1.5, None]}, 2, "")


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", "the body is not JSON: Expecting value at line 1, column 1"),
        (b"\xff", "the body is not UTF-8 at byte 0"),
        (b"[]", 'the body is not an object: send {"inputs": [...]}'),
        (b'{"inputs": [{"data": [NaN]}]}', "NaN is not JSON: send null for a missing value"),
        (b'{"inputs": -Infinity}', "-Infinity is not JSON: send null for a missing value"),
        (b'{"inputs": [], "inputs": []}', "the key 'inputs' is written twice"),
        (b'{"inputs": ' + b"9" * 5000 + b"}", "the body holds a number with too many digits"),
        (b"[" * 200_000, "the body is nested too deeply"),
        (body(instances=[1]), "'instances': no such field in an inference request"),
        (b'{"inputs": []}', "inputs: send a list with one tensor for each column"),
        (body(id=7), "id: send a text of at most 200 characters"),
        (body(outputs=[{"name": "logit"}]), "outputs: there is one output, probability"),
        (body({"name": "a"}), "inputs[0].shape: this field is required"),
        (body(tensor(name="")), "inputs[0].name: send the name of a column"),
        (body(tensor(), tensor()), "inputs[1].name: 'distance' is sent twice"),
        (body(tensor(), tensor(name="temp", shape=[1], data=[3])), "inputs: tensors differ in length: 'distance' 2, 'temp' 1"),
        (body(tensor(shape=[3])), "inputs[0].data: holds 2 values, the shape says 3"),
        (body(tensor(shape=[1, 2])), "inputs[0].shape: [1, 2] is not [n] or [n, 1] with n of at least 1"),
        (body(tensor(shape=[0], data=[])), "inputs[0].shape: [0] is not [n] or [n, 1] with n of at least 1"),
        (body(tensor(shape=[True])), "inputs[0].shape: [True] is not [n] or [n, 1] with n of at least 1"),
        (body(tensor(data=[1.5, "2"])), "inputs[0].data[1]: '2' is not a number (FP64)"),
        (body(tensor(data=[False, 2])), "inputs[0].data[0]: False is not a number (FP64)"),
        (body(tensor(datatype="INT64")), "inputs[0].data[0]: 1.5 is not a whole number (INT64)"),
        (body(tensor(datatype="BYTES")), "inputs[0].data[0]: 1.5 is not text (BYTES)"),
        (body(tensor(datatype="BOOL")), f"inputs[0].datatype: 'BOOL' is none of {DATATYPES}"),
        (body(tensor(datatype=["FP64"])), "inputs[0].datatype: ['FP64'] is no text"),
        (body().replace(b"1.5", b"1e999"), "inputs[0].data: holds a number beyond the largest float; send null for a missing value"),
        (body(tensor(datatype="BYTES", data=["\ud800", "b"])), "inputs[0].data: holds half of a surrogate pair, which is no text"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence_that_names_the_field(sent: bytes, said: str):
    assert refusal(sent) == said


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["inputs", "id", "name", "shape", "datatype", "data"]) | st.text(), inner)
    ),
    max_leaves=20,
)


@given(JSON)
@settings(max_examples=150, deadline=None)
def test_no_json_value_is_answered_with_a_crash(value: Any):
    assert isinstance(read_request(json.dumps(value).encode()), InferRequest | Malformed)


@given(name=st.text(), shape=JSON, datatype=JSON, data=JSON)
@settings(max_examples=150, deadline=None)
def test_no_tensor_is_answered_with_a_crash(name: str, shape: Any, datatype: Any, data: Any):
    sent = {"inputs": [{"name": name, "shape": shape, "datatype": datatype, "data": data}]}
    assert isinstance(read_request(json.dumps(sent).encode()), InferRequest | Malformed)


@given(st.binary())
def test_no_bytes_are_answered_with_a_crash(sent: bytes):
    assert isinstance(read_request(sent), InferRequest | Malformed)


def test_a_response_says_model_version_and_the_exact_probabilities():
    told = json.loads(response("flights", "flights@3f2a", "42", [0.25, 0.1]))
    assert told == {
        "model_name": "flights",
        "model_version": "flights@3f2a",
        "id": "42",
        "outputs": [{"name": "probability", "shape": [2], "datatype": "FP64", "data": [0.25, 0.1]}],
    }


def test_metadata_says_what_to_send_for_each_column():
    inputs = (InputColumn("distance", "number"), InputColumn("time_hour", "time"))
    told = json.loads(model_metadata("flights", "flights@3f2a", inputs))
    assert [(one["name"], one["datatype"], one["shape"]) for one in told["inputs"]] == [
        ("distance", "FP64", [-1]),
        ("time_hour", "BYTES", [-1]),
    ]
