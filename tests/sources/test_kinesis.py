"""Streams of a Kinesis that answers over HTTP: every record once, ranges that hold when the stream grows or is split."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pytest
from moto.server import ThreadedMotoServer
from pydantic import ValidationError

from mlray.errors import SpecError, WorkError
from mlray.sources import kinesis
from mlray.sources.piece import Found
from mlray.sources.streams import KinesisSource

HERE = Path(__file__).parent
REGION = "eu-west-1"
_names = (f"events-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


@pytest.fixture
def stream(server: str) -> str:
    name = next(_names)
    client(server).create_stream(StreamName=name, ShardCount=2)
    return name


def client(server: str) -> Any:
    return boto3.client("kinesis", region_name=REGION, endpoint_url=server, aws_access_key_id="test", aws_secret_access_key="test")


def source(server: str, stream: str, **change: Any) -> KinesisSource:
    connection = {"region": REGION, "endpoint": server}
    return KinesisSource.model_validate(
        {"format": "kinesis", "connection": connection, "stream": stream, "columns": {"id": "int"}} | change
    )


def send(server: str, stream: str, ids: range) -> None:
    for begin in range(ids.start, ids.stop, 500):
        some = [{"Data": json.dumps({"id": n}).encode(), "PartitionKey": f"key-{n}"} for n in range(begin, min(begin + 500, ids.stop))]
        assert not client(server).put_records(StreamName=stream, Records=some)["FailedRecordCount"]


def rows(of: KinesisSource, found: Found) -> pa.Table:
    tables = [table for _, table in kinesis.read(found, of, found.pieces)]
    kinesis.unchanged(found, of)
    return pa.concat_tables(tables)


def test_every_record_comes_once_and_pieces_are_cut_the_same_way_each_time(server: str, stream: str):
    send(server, stream, range(1500))
    of = source(server, stream)
    found = kinesis.find("events", of, HERE, 200)
    assert (found.rows, len(found.units)) == (1500, 2)
    assert sorted(rows(of, found)["id"].to_pylist()) == list(range(1500))
    again = kinesis.find("events", of, HERE, 200)
    assert again == found
    send(server, stream, range(1500, 1600))
    after = kinesis.find("events", of, HERE, 200)
    assert after.digest != found.digest and after.pieces[0] == found.pieces[0]


def test_one_piece_alone_is_the_same_rows(server: str, stream: str):
    send(server, stream, range(1000))
    of = source(server, stream)
    found = kinesis.find("events", of, HERE, 100)
    together = dict(kinesis.read(found, of, found.pieces))
    ((_, alone),) = kinesis.read(found, of, found.pieces[2:3])
    assert alone.equals(together[found.pieces[2]]) and alone.num_rows == 100


def test_what_kinesis_says_of_a_record_is_there_on_request(server: str, stream: str):
    send(server, stream, range(1))
    about = {"key": {"of": "_key", "type": "text"}, "number": {"of": "_sequence", "type": "text"}}
    of = source(server, stream, columns={"id": "int", **about, "when": {"of": "_timestamp", "type": "timestamp"}})
    found = kinesis.find("events", of, HERE, 100)
    (row,) = rows(of, found).to_pylist()
    assert (row["id"], row["key"], row["number"], row["when"]) == (0, "key-0", str(found.pieces[0].stop), found.changed)


def test_what_comes_behind_the_offsets_is_read_next(server: str, stream: str):
    send(server, stream, range(100))
    of = source(server, stream)
    first = kinesis.after("events", of, {}, 60, 1000)
    second = kinesis.after("events", of, first.offsets, 60, 1000)
    assert (first.found.rows, first.more, second.found.rows, second.more) == (60, True, 40, False)
    third = kinesis.after("events", of, second.offsets, 60, 1000)
    assert (third.found.rows, third.offsets) == (0, second.offsets)
    send(server, stream, range(100, 110))
    fourth = kinesis.after("events", of, third.offsets, 60, 1000)
    batches = [rows(of, batch.found)["id"].to_pylist() for batch in (first, second, fourth)]
    assert sorted(itertools.chain(*batches)) == list(range(110))


def test_a_dataset_may_begin_with_what_comes_from_now_on(server: str, stream: str):
    send(server, stream, range(100))
    of = source(server, stream)
    begun = kinesis.after("events", of, {}, 60, 1000, start="latest")
    send(server, stream, range(100, 105))
    then = kinesis.after("events", of, begun.offsets, 60, 1000)
    assert (begun.found.rows, sorted(rows(of, then.found)["id"].to_pylist())) == (0, list(range(100, 105)))


def test_a_shard_that_is_split_loses_nothing(server: str, stream: str):
    send(server, stream, range(100))
    of = source(server, stream)
    first = kinesis.after("events", of, {}, 1000, 1000)
    shard = client(server).describe_stream(StreamName=stream)["StreamDescription"]["Shards"][0]
    middle = (int(shard["HashKeyRange"]["StartingHashKey"]) + int(shard["HashKeyRange"]["EndingHashKey"])) // 2
    client(server).split_shard(StreamName=stream, ShardToSplit=shard["ShardId"], NewStartingHashKey=str(middle))
    send(server, stream, range(100, 200))
    second = kinesis.after("events", of, first.offsets, 1000, 1000)
    assert len(second.offsets) == 4
    assert sorted(rows(of, second.found)["id"].to_pylist()) == list(range(100, 200))


def test_records_that_expired_are_told(server: str, stream: str):
    send(server, stream, range(10))
    of = source(server, stream)
    found = kinesis.find("events", of, HERE, 100)
    client(server).delete_stream(StreamName=stream)
    client(server).create_stream(StreamName=stream, ShardCount=2)
    send(server, stream, range(10, 12))
    with pytest.raises((WorkError, SpecError)):
        rows(of, found)


def test_a_missing_stream_and_a_silent_endpoint_are_told(server: str):
    with pytest.raises(SpecError, match=r"Stream nowhere .*not found"):
        kinesis.find("events", source(server, "nowhere"), HERE, 100)
    with pytest.raises(WorkError, match="Could not connect"):
        kinesis.find("events", source("http://127.0.0.1:1", "events"), HERE, 100)


def test_one_key_alone_is_refused():
    with pytest.raises(ValidationError, match="write both, or neither"):
        source("http://127.0.0.1:1", "events", connection={"access_key": {"secret": "a"}})
