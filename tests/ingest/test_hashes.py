"""Hashes that decide the split of a row: they may never change, whatever library is upgraded."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from mlray.ingest.hashes import hashes, pack, public_key, secret_key, unit, unpack, whole
from mlray.vault.keyring import DataKey

KEY = public_key("golden")


def one(values: list[object], kind: pa.DataType) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, kind)])


def test_golden_values_stay_what_they_are():
    """When one of these changes, every dataset that splits by hash changes with it: do not correct the test."""
    found = {
        "text": hashes([one(["N14228", "", "Zürich"], pa.string())], KEY).tolist(),
        "int": hashes([one([0, 1, -7], pa.int64())], KEY).tolist(),
        "float": hashes([one([0.5, -0.0], pa.float64())], KEY).tolist(),
        "bool": hashes([one([True, False], pa.bool_())], KEY).tolist(),
        "time": hashes([one([datetime(2013, 1, 1, tzinfo=UTC)], pa.timestamp("us", tz="UTC"))], KEY).tolist(),
        "pair": hashes([one(["a"], pa.string()), one([1], pa.int64())], KEY).tolist(),
    }
    assert found == GOLDEN


GOLDEN: dict[str, list[int]] = {
    "text": [17196513647667335546, 10112305975698570462, 4258841535694722248],
    "int": [16639339827974599077, 13480952855409717319, 9973902136286774450],
    "float": [14422880362646732725, 16639339827974599077],
    "bool": [13480952855409717319, 16639339827974599077],
    "time": [1087683896488712652],
    "pair": [4725840645709705451],
}


def test_repeated_texts_hash_as_single_ones_do():
    many = one([f"c{i % 7}" for i in range(5000)], pa.string())
    assert hashes([many], KEY)[:7].tolist() == hashes([one([f"c{i}" for i in range(7)], pa.string())], KEY).tolist()


def test_the_order_of_columns_counts():
    a, b = one(["x"], pa.string()), one(["y"], pa.string())
    assert hashes([a, b], KEY) != hashes([b, a], KEY)


def test_different_rows_have_different_hashes_spread_evenly():
    numbers = pa.chunked_array([pa.array(np.arange(200_000))])
    found = hashes([numbers], KEY)
    assert len(np.unique(found)) == 200_000
    assert np.abs(np.histogram(unit(found), 20, (0, 1))[0] / 10_000 - 1).max() < 0.05


def test_another_key_gives_other_hashes():
    column = one(["N14228"], pa.string())
    secret = secret_key(DataKey(b"k" * 32), "a")
    assert len({hashes([column], key)[0] for key in (KEY, public_key("b"), secret, secret_key(DataKey(b"k" * 32), "b"))}) == 4


def test_missing_values_and_nan_are_not_whole():
    columns = [one([1.0, None, float("nan")], pa.float64()), one(["a", "b", None], pa.string())]
    assert whole(columns).tolist() == [True, False, False]


def test_packed_hashes_come_back():
    found = hashes([one([1, 2], pa.int64())], KEY)
    assert unpack(pack(found)).tolist() == found.tolist()
