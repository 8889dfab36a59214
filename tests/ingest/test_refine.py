"""One block, from raw rows to what is sealed: nothing known only afterwards is in it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlray.errors import SpecError
from mlray.ingest.join import side
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
            "flights": {
                "uri": "f.csv",
                "format": "csv",
                "columns": {"at": "timestamp", "tailnum": "text", "dep_time": "int", "arr_delay": "int"},
            },
            "planes": {"uri": "p.csv", "format": "csv", "columns": {"tailnum": "text", "year": "int"}},
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
PLANES = side(pa.table({"tailnum": ["N1", "N2"], "year": [1999, 2004]}), job().joins[0])


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


SPLITS = [
    {"by": "time", "column": "at", "validation_from": "2013-09-01", "test_from": "2013-11-01"},
    {"by": "group", "key": "tailnum"},
    {"by": "hash"},
    {"by": "hash", "stratify": "late"},
    {"by": "folds", "count": 3, "key": "tailnum", "test": 0.25},
    {"by": "none"},
]
ROW = st.tuples(
    st.none() | st.integers(1, 12),
    st.none() | st.sampled_from(["N1", "N2", "N3"]),
    st.none() | st.integers(0, 2400),
    st.none() | st.integers(-60, 90),
)


@given(st.lists(ROW, max_size=30), st.sampled_from(SPLITS))
def test_every_row_is_in_exactly_one_split_or_rejected(rows: list[tuple[int | None, ...]], split: dict[str, object]):
    months, tails, departed, delays = zip(*rows, strict=True) if rows else ([], [], [], [])
    table = pa.table(
        {
            "at": pa.array([moment(month) if month else None for month in months], pa.timestamp("us", tz="UTC")),
            "tailnum": pa.array(tails, pa.string()),
            "dep_time": pa.array(departed, pa.int64()),
            "arr_delay": pa.array(delays, pa.int64()),
            "row": pa.array([str(row) for row in range(len(rows))], pa.string()),
            "_line": np.arange(2, len(rows) + 2),
        }
    )
    source = {"uri": "f.csv", "format": "csv"}
    flights = source | {"columns": {"at": "timestamp", "tailnum": "text", "dep_time": "int", "arr_delay": "int", "row": "text"}}
    planes = source | {"columns": {"tailnum": "text", "year": "int"}}
    done = refine(table, job(split=split, sources={"flights": flights, "planes": planes}), (PLANES,), KEYS)
    found = Counter(row for piece in done.pieces.values() for row in piece["row"].to_pylist())
    assert found == Counter(str(row) for row in range(len(rows)))
    assert sum(done.rejected.values()) == (done.pieces[REJECTED].num_rows if REJECTED in done.pieces else 0)
    assert sum(split["rows"] for split in done.stats.values()) == done.sketch["rows"] == len(rows) - sum(done.rejected.values())


def test_what_a_reader_could_not_make_out_is_a_reason_like_any_other():
    unread = ROWS.append_column("_unreadable", pa.array(["column dep_time: not a whole number", None, None, None, None], pa.string()))
    done = refine(unread, job(), (PLANES,), KEYS)
    assert done.rejected == {"column dep_time: not a whole number": 1, "cancelled": 1, "no at": 1}
    assert "_unreadable" not in done.pieces[REJECTED].column_names


def test_a_row_without_its_group_belongs_to_no_split():
    lone = ROWS.set_column(1, "tailnum", pa.array(["N1", None, "N1", "N3", "N1"]))
    assert refine(lone, job(split={"by": "group", "key": "tailnum"}), (PLANES,), KEYS).rejected == {"cancelled": 1, "no tailnum": 1}


def test_whose_data_a_row_is_comes_beside_it_and_not_in_it():
    done = refine(ROWS, job(subject="tailnum", classes={"plane_year": "personal"}), (PLANES,), KEYS)
    assert {split: column.to_pylist() for split, column in done.subjects.items()} == {
        "train": ["N1"], "validation": ["N2"], "test": ["N1"], REJECTED: ["N3", "N1"]
    }  # fmt: skip
    assert not any("N1" in piece["tailnum"].to_pylist() for piece in done.pieces.values())


MAILS = ROWS.append_column("note", pa.array([None, "write to ann@example.com", "none", "bob@example.org", ""]))
NOTED = {
    "uri": "f.csv",
    "format": "csv",
    "columns": {"at": "timestamp", "tailnum": "text", "dep_time": "int", "arr_delay": "int", "note": "text"},
}
NOTES = {"flights": NOTED, "planes": {"uri": "p.csv", "format": "csv", "columns": {"tailnum": "text", "year": "int"}}}


def test_values_that_look_personal_stop_the_ingest_and_are_not_quoted():
    with pytest.raises(SpecError) as refused:
        refine(MAILS, job(sources=NOTES), (PLANES,), KEYS)
    assert "neither classified nor protected: note (e-mail addresses)" in refused.value.message
    assert "classes: {note: personal}" in refused.value.hint and "example" not in str(refused.value)


@pytest.mark.parametrize(
    "changed", [{"looks_personal": "ignore"}, {"classes": {"note": "internal"}}, {"protect": {"tailnum": "pseudonymise", "note": "mask"}}]
)
def test_who_says_what_a_column_is_is_not_asked_again(changed: dict[str, object]):
    assert refine(MAILS, job(sources=NOTES, **changed), (PLANES,), KEYS).warned == {}


def test_a_warning_says_which_column_and_goes_on():
    done = refine(MAILS, job(sources=NOTES, looks_personal="warn"), (PLANES,), KEYS)
    assert done.warned == {"note looks personal (e-mail addresses)": 5}
    assert "note" in done.pieces["train"].column_names


def test_without_a_report_no_statistics_are_made():
    assert refine(ROWS, job(report="none"), (PLANES,), KEYS).stats == {}
