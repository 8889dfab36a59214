"""Topics of a real broker: every record once, cut by offsets the same way each time, and told by place when it is no good."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from mlray.errors import SpecError, WorkError
from mlray.sources import kafka
from mlray.sources.piece import Found
from mlray.sources.streams import KafkaSource
from mlray.units import Duration
from tests.brokers import delete_topic, free_port, make_topic, running_broker, send

HERE = Path(__file__).parent
NOON = 1_735_732_800_000  # 2025-01-01 12:00 UTC, in ms
_names = (f"events-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with running_broker() as address:
        yield address


@pytest.fixture
def topic(broker: str) -> str:
    name = next(_names)
    make_topic(broker, name, 3)
    return name


def source(broker: str, topic: str, **change: Any) -> KafkaSource:
    given = {"format": "kafka", "connection": {"bootstrap": broker}, "topic": topic, "columns": {"id": "int", "name": "text"}}
    return KafkaSource.model_validate(given | change)


def value(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def find(of: KafkaSource, rows: int = 1024) -> Found:
    return kafka.find("events", of, HERE, rows)


def rows(of: KafkaSource, found: Found | None = None) -> pa.Table:
    found = found or find(of)
    table = pa.concat_tables([table for _, table in kafka.read(found, of, found.pieces)])
    kafka.unchanged(found, of)
    return table


def test_every_record_comes_once(broker: str, topic: str):
    send(broker, topic, [(n % 3, value(id=n, name=f"n{n}")) for n in range(5000)])
    of = source(broker, topic)
    found = find(of)
    table = rows(of, found)
    assert (found.rows, sorted(table["id"].to_pylist())) == (5000, list(range(5000)))
    assert [(p.unit, p.start, p.stop) for p in found.pieces] == [
        (unit, *ends) for unit in range(3) for ends in ((0, 1024), (1024, stop(unit)))
    ]
    assert table["_unreadable"].null_count == 5000


def stop(unit: int) -> int:
    return len(range(unit, 5000, 3))


def test_a_topic_is_cut_and_named_the_same_way_each_time_and_full_pieces_stay_as_it_grows(broker: str, topic: str):
    send(broker, topic, [(0, value(id=n)) for n in range(3000)])
    of = source(broker, topic)
    before = find(of)
    assert find(of) == before
    send(broker, topic, [(0, value(id=n)) for n in range(500)])
    after = find(of)
    assert after.digest != before.digest
    assert after.pieces[:2] == before.pieces[:2] and after.pieces[2].digest != before.pieces[2].digest


def test_one_piece_alone_is_the_same_rows(broker: str, topic: str):
    send(broker, topic, [(0, value(id=n)) for n in range(3000)])
    of = source(broker, topic)
    found = find(of)
    (_, alone), *none = kafka.read(found, of, found.pieces[1:2])
    assert alone["id"].to_pylist() == list(range(1024, 2048)) and not none
    assert alone["_line"].to_pylist() == list(range(1024, 2048))


def test_what_kafka_says_of_a_record_is_there_on_request(broker: str, topic: str):
    send(broker, topic, [(1, value(id=7))], key=b"who", moment=NOON)
    about = {"part": {"of": "_partition", "type": "int"}, "offset": {"of": "_offset", "type": "int"}}
    about |= {"written": {"of": "_timestamp", "type": "timestamp"}, "key": {"of": "_key", "type": "text"}}
    (row,) = rows(source(broker, topic, columns={"id": "int", **about})).drop_columns(["_line", "_unreadable"]).to_pylist()
    assert row == {"id": 7, "part": 1, "offset": 0, "written": datetime(2025, 1, 1, 12, tzinfo=UTC), "key": "who"}


def test_nested_values_missing_fields_and_line_breaks_are_read(broker: str, topic: str):
    pretty = json.dumps({"id": 2, "user": {"id": "b"}}, indent=2).encode()
    send(broker, topic, [(0, value(id=1, user={"id": "a\nb"}, other=[1])), (0, pretty), (0, b'{"user": {}}')])
    of = source(broker, topic, columns={"id": "int", "who": {"of": "user.id", "type": "text"}})
    table = rows(of)
    assert (table["id"].to_pylist(), table["who"].to_pylist()) == ([1, 2, None], ["a\nb", "b", None])


def test_records_that_hold_no_object_are_rejected_and_hold_up_nothing(broker: str, topic: str):
    bad = [b"no json", b"[1]", b'{"id": 1} {"id": 2}', None, b""]
    good = [value(id=n) for n in range(200)]
    send(broker, topic, [(0, v) for v in (*good[:100], *bad, *good[100:])])
    table = rows(source(broker, topic))
    assert table["id"].to_pylist() == [*range(100), *[None] * 5, *range(100, 200)]
    assert table["_unreadable"].to_pylist()[99:106] == [None, *["the record is not a JSON object"] * 5, None]
    with pytest.raises(WorkError, match=r"partition 0: the record is not a JSON object at 100\n") as told:
        rows(source(broker, topic, on_bad_record="refuse"))
    assert "no json" not in str(told.value)


def test_a_value_of_another_type_is_refused_or_rejected_as_its_column_says(broker: str, topic: str):
    send(broker, topic, [(0, value(id=1)), (0, value(id="secret-word")), (0, value(id=3))])
    with pytest.raises(WorkError, match="column id: not a whole number") as told:
        rows(source(broker, topic))
    assert "secret-word" not in str(told.value)
    table = rows(source(broker, topic, columns={"id": {"type": "int", "on_bad": "reject"}}))
    assert (table["id"].to_pylist(), table["_unreadable"].to_pylist()) == ([1, None, 3], [None, "id is not a whole number", None])


def test_text_records_are_one_column(broker: str, topic: str):
    send(broker, topic, [(0, b"a,b"), (0, "ü\n".encode()), (0, None)])
    table = rows(source(broker, topic, value="text", columns={"line": {"of": "value", "type": "text"}}))
    assert (table["line"].to_pylist(), table["_unreadable"].to_pylist()) == (["a,b", "ü\n", None], [None, None, "the record is empty"])


AVRO = {
    "type": "record",
    "name": "event",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "name", "type": ["null", "string"]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ],
}


def avro(number: int) -> bytes:
    """id, name, at, as the specification writes them: numbers doubled (none is negative, all below 64), text with its length."""
    name = b"\x00" if number % 2 else b"\x02" + bytes([2]) + bytes([97 + number])
    return bytes([number * 2]) + name + bytes([number * 2])


@pytest.mark.parametrize("framing, before", [("none", b""), ("confluent", b"\0\0\0\0\7")])
def test_avro_records_are_read_by_their_schema(broker: str, topic: str, framing: str, before: bytes):
    values = [before + avro(n) for n in range(20)]
    values[5] = values[5][:-1]  # cut off
    send(broker, topic, [(0, v) for v in values])
    columns = {"id": "int", "name": "text", "at": "timestamp"}
    of = source(broker, topic, value="avro", avro_schema=json.dumps(AVRO), framing=framing, columns=columns)
    table = rows(of)
    assert table["id"].to_pylist() == [None if n == 5 else n for n in range(20)]
    assert table["name"].to_pylist() == [None if n % 2 else chr(97 + n) for n in range(20)]
    assert table["_unreadable"].to_pylist()[4:7] == [None, "the record is not of its Avro schema", None]
    assert table["at"][19].as_py() == datetime(1970, 1, 1, 0, 0, 0, 19, tzinfo=UTC)
    with pytest.raises(SpecError, match="no column nme"):
        find(source(broker, topic, value="avro", avro_schema=json.dumps(AVRO), columns={"nme": "text"}))


def test_what_comes_behind_the_offsets_is_shared_out_among_partitions(broker: str, topic: str):
    send(broker, topic, [(0, value(id=n)) for n in range(100)] + [(1, value(id=n)) for n in range(10)])
    of = source(broker, topic)
    first = kafka.after("events", of, {}, 60, 1024)
    assert (dict(first.offsets), first.found.rows, first.more) == ({"0": "50", "1": "10", "2": "0"}, 60, True)
    assert sorted(rows(of, first.found)["id"].to_pylist()) == sorted([*range(50), *range(10)])
    second = kafka.after("events", of, first.offsets, 60, 1024)
    assert (dict(second.offsets), second.found.rows, second.more) == ({"0": "100", "1": "10", "2": "0"}, 50, False)
    third = kafka.after("events", of, second.offsets, 60, 1024)
    assert (third.found.pieces, dict(third.offsets)) == ((), dict(second.offsets))


def test_a_dataset_may_begin_with_what_comes_from_now_on(broker: str, topic: str):
    send(broker, topic, [(0, value(id=n)) for n in range(100)])
    begun = kafka.after("events", source(broker, topic), {}, 60, 1024, start="latest")
    assert (dict(begun.offsets), begun.found.rows) == ({"0": "100", "1": "0", "2": "0"}, 0)


def test_a_topic_that_was_made_anew_is_not_taken_for_the_old_one(broker: str, topic: str):
    send(broker, topic, [(0, value(id=1))])
    before = find(source(broker, topic))
    delete_topic(broker, topic)
    make_topic(broker, topic, 3)
    send(broker, topic, [(0, value(id=2))])
    after = find(source(broker, topic))
    assert after.digest != before.digest and after.pieces[0].digest != before.pieces[0].digest
    with pytest.raises(WorkError, match="ends before the offset read last"):
        kafka.after("events", source(broker, topic), {"0": "7"}, 60, 1024)


def test_records_that_were_deleted_unread_are_refused_or_skipped():
    at, ends = {0: 5, 1: 9}, {0: (8, 20), 1: (0, 9)}
    with pytest.raises(WorkError, match="partition 0: 3 records were deleted before they were read"):
        kafka._gaps(at, ends, "refuse", "topic t")
    assert kafka._gaps(at, ends, "skip", "topic t") == {"0": 3}


def test_a_topic_tells_how_old_its_newest_record_is(broker: str, topic: str):
    send(broker, topic, [(0, value(id=1)), (2, value(id=1))], moment=NOON)
    of = source(broker, topic).model_copy(update={"fresh_within": Duration(60)})
    assert find(of).changed == datetime(2025, 1, 1, 12, tzinfo=UTC)


def test_a_missing_topic_and_a_silent_broker_are_told(broker: str, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(SpecError, match="no such topic"):
        find(source(broker, "nowhere"))
    monkeypatch.setattr(kafka, "ANSWER_S", 1.0)
    with pytest.raises(WorkError, match="no broker answers"):
        find(source(f"127.0.0.1:{free_port()}", "events"))


def test_a_user_who_is_refused_is_told_from_a_silent_broker(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kafka, "ANSWER_S", 3.0)
    with running_broker("--authentication") as guarded:
        connection = {"bootstrap": guarded, "security": "sasl_plaintext", "username": {"secret": "user"}, "password": {"secret": "word"}}
        with pytest.raises(SpecError, match="authentication failed") as told:
            kafka.find("events", source(guarded, "events", connection=connection), HERE, 1024, lambda name: f"secret-{name}")
    assert "secret-word" not in str(told.value)


@pytest.mark.parametrize(
    "change, why",
    [
        ({"connection": {"bootstrap": "b:9092", "security": "sasl_ssl"}}, "username and password"),
        ({"connection": {"bootstrap": "b:9092", "username": "me"}}, "username"),
        ({"value": "avro"}, "avro_schema: write it with value: avro"),
        ({"value": "avro", "avro_schema": "{"}, "is not JSON"),
        ({"on_new_column": "refuse"}, "have no schema to compare with"),
        ({"topic": "a b"}, "topic"),
    ],
)
def test_a_source_that_cannot_be_is_refused(change: dict[str, Any], why: str):
    with pytest.raises(ValidationError, match=why):
        source("b:9092", **{"topic": "events"} | change)


def test_passwords_come_from_secrets():
    connection = {
        "bootstrap": "b:9092",
        "security": "sasl_ssl",
        "username": {"secret": "u"},
        "password": {"secret": "p"},
        "ca": {"secret": "c"},
    }
    given = kafka.settings(source("", "events", connection=connection), lambda name: f"<{name}>")
    assert (given["sasl.username"], given["sasl.password"], given["ssl.ca.pem"]) == ("<u>", "<p>", "<c>")
