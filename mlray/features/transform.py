"""Transform: raw columns to the numbers a model sees; fitted once on training rows, the same at training and at serving.

One path for both: a JSON request becomes a typed table (`table`), and every table, sealed or sent, goes through `apply`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlray.features.rows import InputColumn, Kind, column_of
from mlray.features.spec import Features

FORMAT = 1
# XGBoost refuses feature names that hold one of these.
FORBIDDEN = frozenset("[]<")


@dataclass(frozen=True, slots=True)
class Transform:
    """The raw columns in order, and for each category column the values seen at fitting.

    Holds no row of the data beyond those values, so it is stored beside the model and sealed with it.
    """

    inputs: tuple[InputColumn, ...]
    values: Mapping[str, tuple[str, ...]]

    @classmethod
    def fit(cls, table: pa.Table, features: Features) -> Transform:
        """Learns the values of each category column, sorted. Raises ValueError when the table lacks a column."""
        kinds: tuple[tuple[Kind, tuple[str, ...]], ...] = (
            ("number", features.number),
            ("category", features.category),
            ("time", features.time),
        )
        inputs = tuple(InputColumn(name, kind) for kind, names in kinds for name in names)
        _check_names(inputs)
        _check_columns(table, inputs)
        return cls(inputs, {name: _distinct(table[name]) for name in features.category})

    @property
    def names(self) -> tuple[str, ...]:
        """The model's features, in the order of `apply`'s columns."""
        return tuple(name for column in self.inputs for name in _names(column))

    def apply(self, table: pa.Table) -> np.ndarray:
        """Float32 of shape (rows, features), C order; NaN where missing, unseen or not finite. Other columns are ignored."""
        _check_columns(table, self.inputs)
        out = np.empty((table.num_rows, len(self.names)), dtype=np.float32)
        filled = 0
        for column in self.inputs:
            for values in _encode(table[column.name], column, self.values):
                out[:, filled] = values
                filled += 1
        out[~np.isfinite(out)] = np.nan
        return out

    def table(self, rows: Mapping[str, Sequence[Any]]) -> pa.Table:
        """The typed raw table of JSON columns. Raises ValueError that names the column and the value at fault.

        Every input column must be there, and no other; `null` means missing. Numbers are numbers (not text, not
        true/false), categories are text, times are ISO 8601 text, taken as UTC unless they carry an offset.
        """
        wanted = [column.name for column in self.inputs]
        if missing := [name for name in wanted if name not in rows]:
            raise ValueError(f"column {missing[0]!r} is missing; the model needs {', '.join(wanted)}")
        if unknown := [name for name in rows if name not in wanted]:
            raise ValueError(f"column {unknown[0]!r} is none the model knows; it needs {', '.join(wanted)}")
        if len({len(values) for values in rows.values()}) > 1:
            raise ValueError("columns differ in length: " + ", ".join(f"{name} {len(values)}" for name, values in rows.items()))
        return pa.table({column.name: column_of(column, rows[column.name]) for column in self.inputs})

    def to_json(self) -> str:
        inputs = [{"name": column.name, "kind": column.kind} for column in self.inputs]
        return json.dumps({"format": FORMAT, "inputs": inputs, "values": {k: list(v) for k, v in self.values.items()}})

    @classmethod
    def from_json(cls, text: str | bytes) -> Transform:
        """Raises ValueError when the text is of another format."""
        held = json.loads(text)
        if not isinstance(held, dict) or held.get("format") != FORMAT:
            raise ValueError(f"this transform is not of format {FORMAT}")
        inputs = tuple(InputColumn(column["name"], column["kind"]) for column in held["inputs"])
        return cls(inputs, {name: tuple(values) for name, values in held["values"].items()})


def _encode(column: pa.ChunkedArray, about: InputColumn, values: Mapping[str, tuple[str, ...]]) -> list[np.ndarray]:
    if about.kind == "number":
        return [_floats(column)]
    if about.kind == "category":
        known = pa.array(values[about.name], type=pa.string())
        return [_floats(pc.index_in(column.cast(pa.string()), value_set=known))]
    instant = column.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
    return [_floats(pc.hour(instant)), _floats(pc.day_of_week(instant))]


def _names(column: InputColumn) -> tuple[str, ...]:
    """Day and month are left out: under a split by time, a tree cannot place days it never saw."""
    return (f"{column.name}.hour", f"{column.name}.weekday") if column.kind == "time" else (column.name,)


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    """Through float64 for every source type, so an int64 in Parquet and a float in JSON round alike."""
    with np.errstate(over="ignore"):
        floats: np.ndarray = column.cast(pa.float64(), safe=False).to_numpy()
        return floats.astype(np.float32)


def _distinct(column: pa.ChunkedArray) -> tuple[str, ...]:
    return tuple(sorted(value for value in pc.unique(column.cast(pa.string())).to_pylist() if value is not None))


def _check_names(inputs: tuple[InputColumn, ...]) -> None:
    for column in inputs:
        if FORBIDDEN & set(column.name):
            raise ValueError(
                f"feature {column.name!r} holds one of {' '.join(sorted(FORBIDDEN))}, which XGBoost refuses: rename the column"
            )


def _check_columns(table: pa.Table, inputs: tuple[InputColumn, ...]) -> None:
    there = set(table.column_names)
    if missing := [column.name for column in inputs if column.name not in there]:
        raise ValueError(f"the rows have no column {', '.join(missing)}; there are {', '.join(table.column_names)}")
