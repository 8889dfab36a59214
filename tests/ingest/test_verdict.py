"""The verdict on a whole version: a sentence with numbers for each rule."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from mlray.ingest import sketch, stats
from mlray.ingest.refine import refine
from mlray.ingest.spec import IngestJob
from mlray.ingest.verdict import Verdict, verdict
from mlray.vault.keyring import DataKey
from tests.ingest.test_refine import job

NOW = datetime(2013, 3, 1, tzinfo=UTC)
KEYS = {"_sketches": DataKey(b"s" * 32)}
COLUMNS = {"at": "timestamp", "tailnum": "text", "dep_time": "int", "arr_delay": "int", "temp": "float"}


def checked(*checks: dict[str, Any], **changed: Any) -> IngestJob:
    sources = {"flights": {"uri": "f.csv", "format": "csv", "columns": COLUMNS}}
    plain = {"sources": sources, "joins": [], "protect": {}, "outcome": [], "split": {"by": "none"}}
    return job(**plain | {"checks": list(checks)} | changed)


def table(count: int = 4, **columns: Any) -> pa.Table:
    base = {
        "at": pa.array([NOW - timedelta(hours=count - i) for i in range(count)], pa.timestamp("us", tz="UTC")),
        "tailnum": [f"N{i}" for i in range(count)],
        "dep_time": list(range(count)),
        "arr_delay": [0] * count,
        "temp": [float(i) for i in range(count)],
        "_line": list(range(count)),
    }
    return pa.table(base | columns)


def judged(job: IngestJob, *blocks: pa.Table, previous: Iterable[pa.Table] = (), now: datetime = NOW) -> Verdict:
    done = [refine(block, job, (), KEYS) for block in blocks]
    before = [refine(block, job, (), KEYS).stats for block in previous]
    total = sketch.total(json.loads(json.dumps(found.sketch)) for found in done)
    return verdict(job, stats.merge(found.stats for found in done), total, stats.merge(before) if before else None, now)


@pytest.mark.parametrize(
    "rule, block, said",
    [
        ({"rule": "null_share", "column": "temp", "most": "25%"}, table(temp=[1.0, None, float("nan"), 2.0]),
         "null_share temp: 50.00% of 4 rows are missing, at most 25.00% may be"),
        ({"rule": "null_share", "column": "temp", "most": 0.5}, table(temp=[1.0, None, float("nan"), 2.0]), ""),
        ({"rule": "unique", "columns": ["tailnum"]}, table(tailnum=["N1", "N1", "N2", "N2"]),
         "unique tailnum: 2 of 4 rows repeat one before them, none may"),
        ({"rule": "unique", "columns": ["tailnum", "dep_time"]}, table(tailnum=["N1"] * 4), ""),
        ({"rule": "unique", "columns": ["temp"]}, table(temp=[None, None, float("nan"), float("nan")]), ""),
        ({"rule": "row_count", "low": 5}, table(), "row_count: 4 rows, at least 5 are wanted"),
        ({"rule": "row_count", "low": 1, "high": 3}, table(), "row_count: 4 rows, at least 1 and at most 3 are wanted"),
        ({"rule": "row_count"}, table(), ""),
        ({"rule": "fresh", "column": "at", "within": "30m"}, table(), "fresh at: the newest value is 1h old, at most 30m is wanted"),
        ({"rule": "fresh", "column": "at", "within": "2h"}, table(), ""),
        ({"rule": "fresh", "column": "at", "within": "2h"}, table(at=pa.nulls(4, pa.timestamp("us", tz="UTC"))),
         "fresh at: no row has a value, so nothing says how fresh it is"),
    ],
)  # fmt: skip
def test_a_rule_on_the_whole_version_says_what_it_found(rule: dict[str, Any], block: pa.Table, said: str):
    refusing, warning = judged(checked(rule), block), judged(checked(rule | {"on_fail": "warn"}), block)
    assert refusing.refused == warning.warned == ((said,) if said else ())
    assert refusing.warned == warning.refused == ()


def test_blocks_are_judged_together():
    unique = checked({"rule": "unique", "columns": ["tailnum"]})
    assert judged(unique, table(), table()).refused == ("unique tailnum: 4 of 8 rows repeat one before them, none may",)
    assert judged(unique, table(), table(tailnum=["a", "b", "c", "d"])).refused == ()


def test_rejected_rows_are_not_judged():
    both = checked({"rule": "between", "column": "dep_time", "low": 2, "reason": "early"}, {"rule": "row_count", "low": 3})
    assert judged(both, table()).refused == ("row_count: 2 rows, at least 3 are wanted",)


def test_drift_is_measured_against_the_version_before():
    drift = checked({"rule": "drift", "column": "temp", "most": 0.2})
    early, later = table(500), table(500, temp=[400.0 + i for i in range(500)])
    assert judged(drift, early, previous=[early]).refused == ()
    (said,) = judged(drift, later, previous=[early]).refused
    assert said.startswith("drift temp: psi is ") and said.endswith("against the version before, at most 0.2 is wanted")


def test_the_first_version_has_not_drifted_and_says_why():
    first = judged(checked({"rule": "drift", "column": "temp", "most": 0.2}), table())
    assert (first.refused, first.findings[0].held) == ((), True)
    assert first.findings[0].said == "drift temp: no version before this one holds it, so nothing has moved"


def test_leaks_are_part_of_the_verdict():
    shared = {"split": {"by": "hash"}, "leakage": {"key": ["tailnum"], "on_leak": "warn"}}
    leaking = judged(checked(**shared), table(400, tailnum=[f"N{i % 50}" for i in range(400)]))
    assert leaking.refused == () and "keys (tailnum) are in both" in leaking.warned[0]
    sound = judged(checked(**shared | {"split": {"by": "group", "key": "tailnum"}}), table(400, tailnum=[f"N{i % 50}" for i in range(400)]))
    assert [finding.said for finding in sound.findings] == ["leakage: none found"]


def test_no_value_travels_in_a_sketch():
    told = checked({"rule": "unique", "columns": ["tailnum"]}, split={"by": "hash"}, leakage={"key": ["tailnum"], "near": True})
    sketched = json.dumps(refine(table(tailnum=["aircraft"] * 4), told, (), KEYS).sketch)
    assert "aircraft" not in sketched and "leaks" in sketched
