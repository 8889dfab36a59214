"""Transform: raw columns to the numbers a model sees; fitted once on training rows, the same at training and at serving.

One path for both: a JSON request becomes a typed table (`table`), and every table, sealed or sent, goes through `apply`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlray.features.components import Loadings
from mlray.features.rows import InputColumn, Kind, column_of
from mlray.features.selection import select
from mlray.features.spec import Features

# A transform of columns alone is written in format 1; one that holds more, in 2, so that a reader of 1 refuses it.
PLAIN, FITTED = 1, 2
# XGBoost refuses feature names that hold one of these.
FORBIDDEN = frozenset("[]<")


@dataclass(frozen=True)
class Transform:
    """The raw columns in order, and for each category column the values seen at fitting; then what was fitted upon these.

    `pca` puts components in the place of number columns, `kept` names the features that were selected. Holds no row of the
    data beyond those values, so it is stored beside the model and sealed with it.
    """

    inputs: tuple[InputColumn, ...]
    values: Mapping[str, tuple[str, ...]]
    pca: Loadings | None = None
    kept: tuple[str, ...] | None = None

    @classmethod
    def fit(cls, table: pa.Table, features: Features, labels: np.ndarray | None = None, seed: int = 0) -> Transform:
        """Learns from training rows alone. `labels` are needed to select; the seed is that of mutual information.

        Raises ValueError when the table lacks a column, or is too little to fit on.
        """
        kinds: tuple[tuple[Kind, tuple[str, ...]], ...] = (
            ("number", features.number),
            ("category", features.category),
            ("time", features.time),
        )
        inputs = tuple(InputColumn(name, kind) for kind, names in kinds for name in names)
        _check_names(inputs)
        _check_columns(table, inputs)
        plain = cls(inputs, {name: _distinct(table[name]) for name in features.category})
        return plain._fitted(table, features, labels, seed) if features.pca or features.select else plain

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The model's features, in the order of `apply`'s columns."""
        return self._all if self.kept is None else self.kept

    @property
    def categories(self) -> np.ndarray:
        """Which features take one of a few values between which there is nothing: categories, hours and weekdays."""
        coded = {name for column in self.inputs if column.kind != "number" for name in _names(column)}
        return np.array([name in coded for name in self.names], dtype=bool)

    def apply(self, table: pa.Table) -> np.ndarray:
        """Float32 of shape (rows, features), C order; NaN where missing, unseen or not finite. Other columns are ignored."""
        _check_columns(table, self.inputs)
        out = self._encoded(table)
        if self.pca:
            out = np.concatenate([out[:, self._beside], self.pca.apply(out[:, self._within])], axis=1)
        return out if self.kept is None else np.ascontiguousarray(out[:, self._chosen])

    def _encoded(self, table: pa.Table) -> np.ndarray:
        out = np.empty((table.num_rows, len(self._raw)), dtype=np.float32)
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
        held: dict[str, Any] = {"format": PLAIN, "inputs": inputs, "values": {k: list(v) for k, v in self.values.items()}}
        if self.pca or self.kept is not None:
            held |= {"format": FITTED, "pca": asdict(self.pca) if self.pca else None, "kept": self.kept}
        return json.dumps(held)

    @classmethod
    def from_json(cls, text: str | bytes) -> Transform:
        """Raises ValueError when the text is of another format."""
        held = json.loads(text)
        if not isinstance(held, dict) or held.get("format") not in (PLAIN, FITTED):
            raise ValueError(f"this transform is not of format {PLAIN} or {FITTED}")
        inputs = tuple(InputColumn(column["name"], column["kind"]) for column in held["inputs"])
        pca, kept = held.get("pca"), held.get("kept")
        values = {name: tuple(values) for name, values in held["values"].items()}
        return cls(inputs, values, Loadings.from_json(pca) if pca else None, None if kept is None else tuple(kept))

    def _fitted(self, table: pa.Table, features: Features, labels: np.ndarray | None, seed: int) -> Transform:
        """With components and a selection, each learnt from what the one before it makes of the rows."""
        done = self
        if features.pca:
            of = [self.names.index(name) for name in features.pca.of]
            loadings = Loadings.fit(self.apply(table)[:, of], features.pca.of, features.pca.components)
            if taken := sorted(set(loadings.names) & set(self.names)):
                raise ValueError(f"column {taken[0]!r} has the name of a component: rename it")
            done = replace(self, pca=loadings)
        if features.select is None:
            return done
        if labels is None:
            raise ValueError("features are selected by the label, and there is none")
        coded = np.isin(done.names, list(features.category))
        return done._narrowed(select(done.apply(table), labels, done.names, coded, features.select, seed))

    def _narrowed(self, kept: tuple[str, ...]) -> Transform:
        """Without the raw columns that nothing kept is made of: callers do not send them."""
        pca = self.pca if self.pca and set(self.pca.names) & set(kept) else None
        used = {*kept, *(pca.of if pca else ())}
        inputs = tuple(column for column in self.inputs if used & set(_names(column)))
        held = {column.name for column in inputs}
        return Transform(inputs, {name: values for name, values in self.values.items() if name in held}, pca, kept)

    @cached_property
    def _raw(self) -> tuple[str, ...]:
        return tuple(name for column in self.inputs for name in _names(column))

    @cached_property
    def _all(self) -> tuple[str, ...]:
        """What is made of the inputs, before any of it is left out."""
        return tuple(self._raw[place] for place in self._beside) + self.pca.names if self.pca else self._raw

    @cached_property
    def _within(self) -> list[int]:
        return [self._raw.index(name) for name in self.pca.of] if self.pca else []

    @cached_property
    def _beside(self) -> list[int]:
        return [place for place in range(len(self._raw)) if place not in self._within]

    @cached_property
    def _chosen(self) -> list[int]:
        return [self._all.index(name) for name in self.kept or ()]


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
