"""Open Inference Protocol v2, JSON over HTTP: a request body becomes named columns, probabilities become a response.

Each raw column is one input tensor of shape [n] or [n, 1]; `null` is a missing value (an extension: v2 has none).
Strict, because what is read loosely is predicted wrongly: duplicate keys, NaN, infinities and text in place of a number
are refused, and every refusal names its field.
https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlray import __version__
from mlray.features.rows import InputColumn

FLOATS = frozenset({"FP16", "FP32", "FP64"})
INTEGERS = frozenset({"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"})
TEXT = "BYTES"
DATATYPES = {"number": "FP64", "category": TEXT, "time": TEXT}
OUTPUT = "probability"
LONGEST_ID = 200


@dataclass(frozen=True, slots=True)
class InferRequest:
    """The columns of a request in JSON values, all of `rows` values, and the id the caller gave ("" for none)."""

    columns: dict[str, list[Any]]
    rows: int
    id: str = ""


@dataclass(frozen=True, slots=True)
class Malformed:
    """A body that cannot be read as a request; `reason` names the field."""

    reason: str


class _Wrong(ValueError):
    """Ends the reading of a body with its reason; never leaves this module."""


def read_request(body: bytes) -> InferRequest | Malformed:
    """The request in a body. What columns there must be is the model's business."""
    try:
        return _request(_parse(body))
    except _Wrong as wrong:
        return Malformed(str(wrong))


def response(model: str, version: str, request_id: str, probabilities: Sequence[float]) -> bytes:
    """The body of an answer: one FP64 output of shape [n]; each number is the exact value of the model's float32."""
    output = {"name": OUTPUT, "shape": [len(probabilities)], "datatype": "FP64", "data": list(probabilities)}
    about = {"model_name": model, "model_version": version} | ({"id": request_id} if request_id else {})
    return encode(about | {"outputs": [output]})


def model_metadata(model: str, version: str, inputs: Sequence[InputColumn]) -> bytes:
    tensors = [{"name": i.name, "datatype": DATATYPES[i.kind], "shape": [-1], "parameters": {"kind": i.kind}} for i in inputs]
    output = {"name": OUTPUT, "datatype": "FP64", "shape": [-1]}
    return encode({"name": model, "versions": [version], "platform": "mlray_xgboost", "inputs": tensors, "outputs": [output]})


def server_metadata() -> bytes:
    return encode({"name": "mlray", "version": __version__, "extensions": []})


def error(reason: str) -> bytes:
    return encode({"error": reason})


def encode(value: object) -> bytes:
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _parse(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except UnicodeDecodeError as bad:
        raise _Wrong(f"the body is not UTF-8 at byte {bad.start}") from None
    except json.JSONDecodeError as bad:
        raise _Wrong(f"the body is not JSON: {bad.msg} at line {bad.lineno}, column {bad.colno}") from None
    except RecursionError:
        raise _Wrong("the body is nested too deeply") from None
    except _Wrong:
        raise
    except ValueError:  # a whole number of more digits than Python converts
        raise _Wrong("the body holds a number with too many digits") from None
    if not isinstance(value, dict):
        raise _Wrong('the body is not an object: send {"inputs": [...]}')
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _Wrong(f"the key {_cut(twice)} is written twice")
    return made


def _refuse_constant(name: str) -> None:
    raise _Wrong(f"{name} is not JSON: send null for a missing value")


def _request(body: dict[str, Any]) -> InferRequest:
    if unknown := [key for key in body if key not in ("id", "parameters", "inputs", "outputs")]:
        raise _Wrong(f"{_cut(unknown[0])}: no such field in an inference request")
    _check_outputs(body.get("outputs", []))
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise _Wrong("inputs: send a list with one tensor for each column")
    columns: dict[str, list[Any]] = {}
    for i, tensor in enumerate(inputs):
        name, values = _tensor(tensor, f"inputs[{i}]")
        if name in columns:
            raise _Wrong(f"inputs[{i}].name: {_cut(name)} is sent twice")
        columns[name] = values
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise _Wrong("inputs: tensors differ in length: " + ", ".join(f"{_cut(name)} {n}" for name, n in lengths.items())[:300])
    return InferRequest(columns, next(iter(lengths.values())), _id(body.get("id", "")))


def _id(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_ID:
        raise _Wrong(f"id: send a text of at most {LONGEST_ID} characters")
    return value


def _check_outputs(outputs: Any) -> None:
    wanted = [output.get("name") if isinstance(output, dict) else None for output in outputs] if isinstance(outputs, list) else [None]
    if any(name != OUTPUT for name in wanted):
        raise _Wrong(f"outputs: there is one output, {OUTPUT}")


def _tensor(tensor: Any, at: str) -> tuple[str, list[Any]]:
    if not isinstance(tensor, dict):
        raise _Wrong(f"{at}: send an object with name, shape, datatype and data")
    if missing := [key for key in ("name", "shape", "datatype", "data") if key not in tensor]:
        raise _Wrong(f"{at}.{missing[0]}: this field is required")
    name, datatype = tensor["name"], tensor["datatype"]
    if not isinstance(name, str) or not name:
        raise _Wrong(f"{at}.name: send the name of a column")
    if not isinstance(datatype, str):
        raise _Wrong(f"{at}.datatype: {_cut(datatype)} is no text")
    values = _flat(tensor["data"], _rows(tensor["shape"], at), at)
    _check_values(values, datatype, at)
    return name, values


def _rows(shape: Any, at: str) -> tuple[int, bool]:
    """The number of rows, and whether the tensor has a second dimension."""
    whole = isinstance(shape, list) and all(type(size) is int for size in shape)
    if not whole or len(shape) not in (1, 2) or shape[0] < 1 or shape[1:] not in ([], [1]):
        raise _Wrong(f"{at}.shape: {_cut(shape)} is not [n] or [n, 1] with n of at least 1")
    return shape[0], len(shape) == 2


def _flat(data: Any, shape: tuple[int, bool], at: str) -> list[Any]:
    rows, nested = shape
    if not isinstance(data, list) or len(data) != rows:
        held = f"{len(data)} values" if isinstance(data, list) else "no list"
        raise _Wrong(f"{at}.data: holds {held}, the shape says {rows}")
    if nested and all(isinstance(row, list) and len(row) == 1 for row in data):
        return [row[0] for row in data]
    return data


def _check_values(values: list[Any], datatype: str, at: str) -> None:
    """Exact types: True is an int to Python, but not a number to the caller who sent it."""
    if datatype in FLOATS:
        _only(values, (int, float), f"a number ({datatype})", at)
        if not all(math.isfinite(value) for value in values if type(value) is float):
            raise _Wrong(f"{at}.data: holds a number beyond the largest float; send null for a missing value")
    elif datatype in INTEGERS:
        _only(values, (int,), f"a whole number ({datatype})", at)
    elif datatype == TEXT:
        _only(values, (str,), "text (BYTES)", at)
        _check_text("".join(value for value in values if value), at)
    else:
        raise _Wrong(f"{at}.datatype: {_cut(datatype)} is none of {', '.join(sorted(FLOATS | INTEGERS | {TEXT}))}")


def _check_text(text: str, at: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _Wrong(f"{at}.data: holds half of a surrogate pair, which is no text") from None


def _only(values: list[Any], types: tuple[type, ...], wanted: str, at: str) -> None:
    allowed = {*types, type(None)}
    if set(map(type, values)) <= allowed:
        return
    row, value = next((row, value) for row, value in enumerate(values) if type(value) not in allowed)
    raise _Wrong(f"{at}.data[{row}]: {_cut(value)} is not {wanted}")


def _cut(value: object) -> str:
    """A value as it is told back: short, and never the whole of what was sent."""
    text = f"an object of {len(value)} keys" if isinstance(value, dict) else f"{value!r:.60}"
    return text if len(text) < 60 else text[:57] + "..."
