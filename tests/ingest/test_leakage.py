"""Rows on both sides of a split are found, and so are columns that give the label away."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from mlray.ingest import leakage
from mlray.ingest.hashes import pack, public_key
from mlray.ingest.leakage import Leaks, Marks, leaks, near_hashes, tells
from mlray.ingest.splits import Leakage
from mlray.vault.keyring import DataKey
from tests.ingest.test_refine import job

KEY = DataKey(b"k" * 32)
FLIGHTS = {"at": "timestamp", "tailnum": "text", "dep_time": "int", "arr_delay": "int", "delay": "float", "carrier": "text"}
LABEL = {"name": "late", "column": "arr_delay", "above": 30}
SOURCES = {"flights": {"uri": "f.csv", "format": "csv", "columns": FLIGHTS}}


def found(rule: Leakage, table: pa.Table, sides: list[int], blocks: int = 1) -> list[str]:
    """The leaks of a table whose rows are in train (0) and test (1), cut into so many blocks."""
    leaking = job(sources=SOURCES, joins=[], leakage=rule.model_dump(), label=LABEL if "late" in table.column_names else None)
    total = Leaks()
    for rows in np.array_split(np.arange(table.num_rows), blocks):
        placed = np.array(sides)[rows]
        block = leakage.of(table.take(pa.array(rows)), {"train": placed == 0, "test": placed == 1}, leaking, rule, KEY)
        total.add(json.loads(json.dumps(block)))
    return list(leaks(rule, total))


def test_a_key_on_both_sides_is_found_across_blocks():
    table = pa.table({"tailnum": ["N1", "N2", "N3", "N1", None, None]})
    said = found(Leakage(key=("tailnum",)), table, [0, 0, 0, 1, 0, 1], blocks=6)
    assert said == ["leakage: 1 keys (tailnum) are in both train and test (100.00%, at most 0.00%)"]
    assert found(Leakage(key=("tailnum",)), table, [0, 0, 0, 0, 0, 1]) == [], "a missing key equals nothing"


def test_a_share_of_shared_keys_may_be_allowed():
    table = pa.table({"tailnum": [f"N{i % 100}" for i in range(101)]})
    sides = [0] * 50 + [1] * 51
    assert "1 keys (tailnum) are in both train and test (2.00%" in found(Leakage(key=("tailnum",)), table, sides)[0]
    assert found(Leakage(key=("tailnum",), most=0.02), table, sides) == []


def test_rows_that_differ_in_the_fourth_digit_and_in_case_are_nearly_equal():
    table = pa.table({"delay": [100.0, 100.01, 150.0], "carrier": ["United  Air", " united air", "UA"]})
    rule = Leakage(near=True, features=("delay", "carrier"))
    assert "1 nearly equal rows are in both train and test" in found(rule, table, [0, 1, 1])[0]
    assert found(rule, table, [0, 0, 1]) == []


def test_rows_without_any_feature_are_not_compared():
    table = pa.table({"delay": pa.array([None, None], pa.float64())})
    assert found(Leakage(near=True, features=("delay",)), table, [0, 1]) == []


def test_numbers_keep_about_three_digits():
    key = public_key("test")
    numbers = pa.chunked_array([[1234.0, 1234.4, 1250.0, -1234.0, 0.0, 1e-9]])
    same = near_hashes([numbers], key)
    assert same[0] == same[1] and len(set(same.tolist())) == 5


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_column_that_gives_the_label_away_is_named(share: float):
    rng = np.random.default_rng(0)
    delay = rng.normal(0, 40, 4000)
    late = (delay > 30).astype(np.int8)
    noise = rng.normal(0, 40, 4000)
    table = pa.table({"delay": np.where(rng.random(4000) < share, noise, delay), "carrier": rng.choice(["UA", "AA"], 4000), "late": late})
    said = found(Leakage(features=("delay", "carrier"), predicts=0.97), table, [0] * 4000, blocks=3)
    assert [line.partition(" alone")[0] for line in said] == ([] if share else ["leakage: delay"])


def test_a_text_and_a_missing_value_can_give_it_away_too_and_a_name_for_each_row_cannot():
    late = [i % 4 == 0 for i in range(2000)]
    table = pa.table(
        {
            "carrier": ["late" if yes else "fine" for yes in late],
            "dep_time": pa.array([None if yes else 1 for yes in late], pa.int64()),
            "tailnum": [f"N{i}" for i in range(2000)],
            "late": pa.array(late).cast(pa.int8()),
        }
    )
    said = found(Leakage(features=("carrier", "dep_time", "tailnum")), table, [0] * 2000)
    assert [line.partition(" alone")[0] for line in said] == ["leakage: carrier", "leakage: dep_time"]


def test_nothing_is_said_of_a_few_rows():
    no_yes = {"kind": "text", "nulls": [0, 0], "sides": [[100, 0], [0, leakage.FEWEST - 1]]}
    assert tells(no_yes) == 0.0
    assert tells(no_yes | {"sides": [[100, 0], [0, leakage.FEWEST]]}) > 0.9


def test_of_many_keys_a_sample_is_kept_that_still_meets(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(leakage, "MOST", 500)
    hashes = np.random.default_rng(0).integers(0, 2**64, 8000, dtype=np.uint64)
    marks = Marks()
    for block in np.array_split(hashes[:6000], 6):
        marks.add({"train": pack(block)})
    marks.add({"test": pack(hashes[4000:])})
    sides = marks.sides()
    assert all(len(side) <= 500 for side in sides.values()) and marks.level > 0
    shared = len(np.intersect1d(sides["train"], sides["test"])) << marks.level
    assert shared == pytest.approx(2000, rel=0.25)
