"""Values that repeat get a dictionary, others what is cheap for them; no value changes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlray.vault import tables
from mlray.vault.encoding import encodings
from mlray.vault.keyring import DataKey

RNG = np.random.default_rng(1)
N = 20_000
ROWS = pa.table(
    {
        "id": np.arange(N),
        "few": RNG.integers(0, 9, N),
        "score": pa.array(RNG.random(N), mask=RNG.random(N) < 0.1),
        "cents": np.round(RNG.random(N), 2),
        "at": pa.array(np.arange(N) * 1_000_000, pa.timestamp("us", tz="UTC")),
        "word": pa.array([f"w{i % 50}" for i in range(N)]),
        "none": pa.nulls(N, pa.int64()),
        "small": pa.array(RNG.integers(0, 2, N), pa.int8()),
    }
)


def test_each_column_is_encoded_by_what_its_first_values_are():
    repeating, others = encodings(ROWS)
    assert set(repeating) == {"few", "cents", "word", "none", "small"}
    assert others == {"id": "DELTA_BINARY_PACKED", "at": "DELTA_BINARY_PACKED", "score": "BYTE_STREAM_SPLIT"}


def test_what_is_sealed_comes_back_and_is_smaller_than_with_a_dictionary_for_all():
    key = DataKey(b"k" * 32)
    sealed = tables.seal_table(key, ROWS, "here")
    assert tables.open_table(key, sealed, "here").equals(ROWS)
    sink = pa.BufferOutputStream()
    pq.write_table(ROWS, sink, compression="zstd")
    assert sealed.size < sink.getvalue().size


def test_a_table_without_rows_has_encodings_too():
    key = DataKey(b"k" * 32)
    assert tables.open_table(key, tables.seal_table(key, ROWS.slice(0, 0), "here"), "here").num_rows == 0
