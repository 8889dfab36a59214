"""Values of records become columns, whatever they are; what is none of it is told by its place."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlray.sources import records
from mlray.sources.records import Records
from mlray.sources.streams import KafkaSource
from mlray.sources.typed import LINE, UNREADABLE

SCHEMA = {"type": "record", "name": "r", "fields": [{"name": "id", "type": "long"}, {"name": "name", "type": "string"}]}
KINDS: dict[str, dict[str, Any]] = {
    "json": {"columns": {"id": "int", "name": "text"}},
    "avro": {"columns": {"id": "int", "name": "text"}, "avro_schema": json.dumps(SCHEMA)},
    "text": {"columns": {"line": {"of": "value", "type": "text"}}},
}


def source(value: str, **change: Any) -> KafkaSource:
    given = {"format": "kafka", "connection": {"bootstrap": "b:9092"}, "topic": "t", "value": value}
    return KafkaSource.model_validate(given | KINDS[value] | change)


def table(of: KafkaSource, values: list[bytes | None]) -> pa.Table:
    found = Records(values, {"_offset": pa.array(range(len(values)), pa.int64())}, range(len(values)))
    return records.table(found, of, records.columns(of, {"_offset": "int"}), "topic t")


@pytest.mark.parametrize("value", KINDS)
def test_a_range_without_records_is_a_table_without_rows(value: str):
    found = table(source(value), [])
    assert found.num_rows == 0 and found.schema.types[-3:] == [pa.string(), pa.string(), pa.int64()]


@pytest.mark.parametrize("value", KINDS)
def test_records_that_are_all_empty_are_all_rejected(value: str):
    found = table(source(value), [None, None])
    assert found.num_rows == 2 and found[UNREADABLE].null_count == 0


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(st.none(), st.binary(max_size=8), st.integers(-(2**63), 2**63 - 1)), max_size=40))
def test_every_record_has_its_row_in_its_place(given: list[bytes | int | None]):
    values = [json.dumps({"id": v, "name": str(v)}).encode() if isinstance(v, int) else v for v in given]
    found = table(source("json"), values)
    assert found[LINE].to_pylist() == list(range(len(given)))
    for wanted, row in zip(given, found.to_pylist(), strict=True):
        if isinstance(wanted, int):
            assert (row["id"], row["name"], row[UNREADABLE]) == (wanted, str(wanted), None)
        elif wanted is None or not _object(wanted):
            assert row["id"] is None and row[UNREADABLE] == records.WHY["json"]


def _object(value: bytes) -> bool:
    try:
        return isinstance(json.loads(value), dict)
    except ValueError:
        return False


@pytest.mark.parametrize("unit", [0, 1, 63, 64, 8191, 8192, 2**31])
def test_whole_numbers_are_written_as_avro_reads_them(unit: int):
    from mlray.sources.avro import varint

    raw = records._varint(unit)
    assert varint(raw, 0) == (unit, len(raw))
