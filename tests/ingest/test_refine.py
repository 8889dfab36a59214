"""One block, from raw rows to what is sealed: nothing known only afterwards is in it."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from mlray.ingest.refine import REJECTED, refine, rejected_schema, schema
from mlray.ingest.spec import IngestJob
from mlray.vault.keyring import DataKey

KEYS = {"tailnum": DataKey(b"k" * 32)}


def job(**changed: object) -> IngestJob:
    value: dict[str, object] = {
        "kind": "ingest",
        "name": "mini",
        "policy": "p.yaml",
        "dataset": "mini",
        "main": "flights",
        "sources": {
            "flights": {"uri": "f.csv", "columns": {"at": "timestamp", "tailnum": "text", "dep_time": "int", "arr_delay": "int"}},
            "planes": {"uri": "p.csv", "columns": {"tailnum": "text", "year": "int"}},
        },
        "joins": ({"source": "planes", "on": ("tailnum",), "take": {"year": "plane_year"}},),
        "checks": ({"rule": "not_null", "column": "dep_time", "reason": "cancelled"},),
        "label": {"name": "late", "column": "arr_delay", "above": 30},
        "outcome": ("dep_time", "arr_delay"),
        "protect": {"tailnum": "pseudonymise"},
        "split": {"by": "time", "column": "at", "validation_from": "2013-09-01", "test_from": "2013-11-01"},
    }
    return IngestJob.model_validate(value | changed)


def moment(month: int) -> datetime:
    return datetime(2013, month, 15, tzinfo=UTC)


ROWS = pa.table(
    {
        "at": pa.array([moment(1), moment(9), moment(12), moment(2), None], pa.timestamp("us", tz="UTC")),
        "tailnum": ["N1", "N2", "N1", "N3", "N1"],
        "dep_time": [517, 533, 542, None, 1],
        "arr_delay": [31, 30, None, None, 99],
        "_line": [2, 3, 4, 5, 6],
    }
)
PLANES = pa.table({"tailnum": ["N1", "N2"], "year": [1999, 2004]})


def test_a_block_is_joined_labelled_protected_and_split():
    done = refine(ROWS, job(), (PLANES,), KEYS)
    name = KEYS["tailnum"].mac(b"N1")[:16].hex()
    assert done.pieces["train"].to_pylist() == [{"at": moment(1), "tailnum": name, "plane_year": 1999, "late": 1}]
    assert done.pieces["validation"]["late"].to_pylist() == [0], "30 is not above 30"
    assert done.pieces["test"]["late"].to_pylist() == [None], "no arrival, no label"
    assert done.pieces["test"]["tailnum"].to_pylist() == [name], "the same aircraft has the same name in every split"


def test_rejected_rows_say_why_and_where_and_are_protected_too():
    done = refine(ROWS, job(), (PLANES,), KEYS)
    rejected = done.pieces[REJECTED].select(["_line", "_reason", "tailnum", "plane_year"]).to_pylist()
    n1, n3 = (KEYS["tailnum"].mac(name)[:16].hex() for name in (b"N1", b"N3"))
    assert rejected == [
        {"_line": 5, "_reason": "cancelled", "tailnum": n3, "plane_year": None},
        {"_line": 6, "_reason": "no at", "tailnum": n1, "plane_year": 1999},
    ]
    assert done.rejected == {"cancelled": 1, "no at": 1}


@pytest.mark.parametrize("outcome", [("dep_time",), ("arr_delay",), ("dep_time", "arr_delay"), ("plane_year",)])
def test_no_outcome_column_leaves_in_any_split(outcome: tuple[str, ...]):
    done = refine(ROWS, job(outcome=outcome), (PLANES,), KEYS)
    assert set(done.pieces) == {"train", "validation", "test", REJECTED}
    for split, piece in done.pieces.items():
        assert not set(outcome) & set(piece.column_names), split


def test_the_schema_is_known_before_any_row_and_is_the_one_that_is_sealed():
    done = refine(ROWS, job(), (PLANES,), KEYS)
    assert schema(job()).names == ["at", "tailnum", "plane_year", "late"]
    assert [str(kind) for kind in schema(job()).types] == ["timestamp[us, tz=UTC]", "string", "int64", "int8"]
    assert {split: piece.schema for split, piece in done.pieces.items() if split != REJECTED} == dict.fromkeys(
        ("train", "validation", "test"), schema(job())
    )
    assert done.pieces[REJECTED].schema == rejected_schema(job())


def test_dropped_columns_are_gone_and_empty_splits_are_left_out():
    done = refine(ROWS.slice(0, 1), job(protect={"tailnum": "drop"}), (PLANES,), {})
    assert set(done.pieces) == {"train"} and done.pieces["train"].column_names == ["at", "plane_year", "late"]
