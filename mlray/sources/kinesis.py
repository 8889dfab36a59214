"""Kinesis: ranges of sequence numbers of a stream's shards. An edge.

A shard does not tell where it ends, nor how many records lie between two numbers, so the records are counted by reading them
once, and read again by the task that seals them. A range is what lies behind `start`, up to `stop` itself; 0 is the oldest.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from mlray.errors import MlrayError, SpecError, WorkError
from mlray.sources import records
from mlray.sources.piece import Found, Piece
from mlray.sources.places import Secrets, none
from mlray.sources.ranges import IDENTITY, Batch, share
from mlray.sources.records import Records
from mlray.sources.shape import shape
from mlray.sources.streams import KinesisSource
from mlray.sources.units import named

ABOUT = {"_shard": "text", "_sequence": "text", "_timestamp": "timestamp", "_key": "text"}
AT_ONCE = 10_000  # records of one answer, as many as AWS allows
PAUSE_S = 0.2  # AWS answers five questions a second for each shard
OLDEST = 0


@dataclass(frozen=True, slots=True)
class Counted:
    """What a look at a shard came to: the number of each record behind an offset, and whether more were there."""

    numbers: tuple[int, ...]
    newest: datetime | None
    more: bool


def find(name: str, source: KinesisSource, base: Path, rows_per_piece: int, secrets: Secrets = none) -> Found:
    """All records there are now. Raises SpecError: no such stream, no right to read it."""
    with telling(_where(name, source)):
        client = _client(source, secrets)
        counted = {shard: _counted(client, source, shard, OLDEST, None) for shard in _shards(client, source)}
        made = _identity(client, source)
    return _found(name, source, made, {shard: (OLDEST, found.numbers) for shard, found in counted.items()}, rows_per_piece, counted)


def after(
    name: str,
    source: KinesisSource,
    offsets: Mapping[str, str],
    most: int,
    rows_per_piece: int,
    start: str = "earliest",
    on_gap: str = "refuse",
    secrets: Secrets = none,
) -> Batch:
    """At most so many records behind the offsets. A shard without one begins at its oldest; at its newest, if there is none at all.

    A record that expired before it was read leaves no trace in Kinesis: no gap can be told.
    """
    with telling(_where(name, source)):
        client = _client(source, secrets)
        shards, made = _shards(client, source), _identity(client, source)
        at = {shard: int(offsets.get(shard, OLDEST)) for shard in shards}
        if start == "latest" and not offsets:
            ends = {shard: _counted(client, source, shard, OLDEST, None).numbers for shard in shards}
            return Batch(
                _found(name, source, made, {}, rows_per_piece, {}), {s: str(n[-1] if n else OLDEST) for s, n in ends.items()}, {}, False
            )
        counted = {shard: _counted(client, source, shard, at[shard], most) for shard in shards}
    taken = share({shard: len(found.numbers) for shard, found in counted.items()}, most)
    ranges = {shard: (at[shard], counted[shard].numbers[: taken[shard]]) for shard in shards}
    more = any(found.more or taken[shard] < len(found.numbers) for shard, found in counted.items())
    ends = {shard: numbers for shard, (_, numbers) in ranges.items() if numbers}
    stands = {**offsets, **{s: str(at[s]) for s in shards}, **{s: str(numbers[-1]) for s, numbers in ends.items()}}
    return Batch(_found(name, source, made, ranges, rows_per_piece, counted), stands, {}, more)


def read(found: Found, source: KinesisSource, pieces: Sequence[Piece], secrets: Secrets = none) -> Iterator[tuple[Piece, pa.Table]]:
    """Raises WorkError when records of a piece expired."""
    there_is = dict(found.columns)
    with telling(found.where):
        client = _client(source, secrets)
        for unit, group in groupby(pieces, key=lambda piece: piece.unit):
            shard, where = found.units[unit], found.place(unit)
            for piece in group:
                mine = [r for r in _behind(client, source, shard, piece.start, piece.stop) if int(r["SequenceNumber"]) <= piece.stop]
                if not mine or int(mine[-1]["SequenceNumber"]) != piece.stop:
                    raise WorkError(
                        f"{where}: records expired before they were read", hint="keep records longer in the stream; run it again"
                    )
                yield piece, records.table(_records(mine, shard, piece.first), source, there_is, where)


def unchanged(found: Found, source: KinesisSource, secrets: Secrets = none) -> None:
    """Records never change; one that expired was missed by `read`."""


@contextmanager
def telling(where: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except MlrayError:
        raise
    except ClientError as error:
        said = error.response.get("Error", {})
        raise SpecError(f"{where}: {said.get('Message') or said.get('Code')}", hint="see the stream and connection of the source") from None
    except BotoCoreError as error:
        raise WorkError(f"{where}: {error}", hint="see the connection of the source, and the AWS settings of the environment") from None


def _client(source: KinesisSource, secrets: Secrets) -> Any:
    try:
        import boto3
    except ImportError as missing:
        raise SpecError("Kinesis needs a client", hint="pip install 'mlray[aws]'") from missing
    to = source.connection
    keys = {"aws_access_key_id": to.access_key, "aws_secret_access_key": to.secret_key, "aws_session_token": to.session_token}
    given = {name: secrets(key.secret) for name, key in keys.items() if key}
    return boto3.client("kinesis", region_name=to.region, endpoint_url=to.endpoint, **given)


def _shards(client: Any, source: KinesisSource) -> list[str]:
    """All shards that still hold records, closed ones as well: what was split is read before and beside what it was split into."""
    shards, said = [], client.list_shards(StreamName=source.stream)
    while True:
        shards += [shard["ShardId"] for shard in said["Shards"]]
        if not said.get("NextToken"):
            return sorted(shards)
        said = client.list_shards(NextToken=said["NextToken"])


def _counted(client: Any, source: KinesisSource, shard: str, start: int, most: int | None) -> Counted:
    """Up to the newest there is now, or to about `most`."""
    numbers, newest, more = list[int](), None, False
    for answer, behind in _answers(client, source, shard, start):
        numbers += [int(record["SequenceNumber"]) for record in answer]
        newest = answer[-1]["ApproximateArrivalTimestamp"] if answer else newest
        if more := bool(behind) and most is not None and len(numbers) >= most:
            break
    return Counted(tuple(numbers), newest.astimezone(UTC) if newest else None, more)


def _behind(client: Any, source: KinesisSource, shard: str, start: int, stop: int) -> Iterator[dict[str, Any]]:
    for answer, _ in _answers(client, source, shard, start):
        yield from answer
        if answer and int(answer[-1]["SequenceNumber"]) >= stop:
            return


def _answers(client: Any, source: KinesisSource, shard: str, start: int) -> Iterator[tuple[list[dict[str, Any]], int]]:
    """(records, milliseconds behind the newest) until there is nothing newer."""
    where = {"ShardIteratorType": "TRIM_HORIZON"} if start == OLDEST else _after(start)
    at = client.get_shard_iterator(StreamName=source.stream, ShardId=shard, **where)["ShardIterator"]
    while at:
        try:
            said = client.get_records(ShardIterator=at, Limit=AT_ONCE)
        except client.exceptions.ProvisionedThroughputExceededException:
            time.sleep(PAUSE_S)
            continue
        yield said["Records"], said["MillisBehindLatest"]
        if not said["MillisBehindLatest"]:
            return
        at = said.get("NextShardIterator")
        time.sleep(PAUSE_S if not said["Records"] else 0)


def _after(start: int) -> dict[str, str]:
    return {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": str(start)}


def _identity(client: Any, source: KinesisSource) -> str:
    """Names the stream itself: one that is deleted and made anew has the same name and other records."""
    told = client.describe_stream_summary(StreamName=source.stream)["StreamDescriptionSummary"]
    return f"{told['StreamARN']} {told['StreamCreationTimestamp'].astimezone(UTC).isoformat()}"


def _found(
    name: str,
    source: KinesisSource,
    made: str,
    ranges: Mapping[str, tuple[int, Sequence[int]]],
    rows_per_piece: int,
    counted: Mapping[str, Counted],
) -> Found:
    where, columns = _where(name, source), records.columns(source, ABOUT)
    shape(source, columns, where)
    identity = named(made)
    pieces: list[Piece] = []
    for unit, (shard, (start, numbers)) in enumerate(sorted(ranges.items())):
        for first in range(0, len(numbers), rows_per_piece):
            stop = numbers[min(first + rows_per_piece, len(numbers)) - 1]
            before = numbers[first - 1] if first else start
            pieces.append(Piece(len(pieces), unit, before, stop, named(identity, shard, before, stop), first + 1))
    rows = sum(len(numbers) for _, numbers in ranges.values())
    changed = max((found.newest for found in counted.values() if found.newest), default=None)
    digest = named(identity, *(piece.digest for piece in pieces))
    return Found(name, where, tuple(sorted(ranges)), digest, tuple(columns.items()), tuple(pieces), rows, changed, ((IDENTITY, made),))


def _records(found: list[dict[str, Any]], shard: str, first: int) -> Records:
    about = {
        "_shard": pa.array([shard] * len(found), pa.string()),
        "_sequence": pa.array([record["SequenceNumber"] for record in found], pa.string()),
        "_timestamp": pa.array([record["ApproximateArrivalTimestamp"].astimezone(UTC) for record in found], pa.timestamp("us", tz="UTC")),
        "_key": pa.array([record["PartitionKey"] for record in found], pa.string()),
    }
    return Records([record["Data"] for record in found], about, range(first, first + len(found)))


def _where(name: str, source: KinesisSource) -> str:
    return f"source {name}: stream {source.stream}"
