"""Kafka: offset ranges of a topic's partitions. An edge.

Offsets are ours to keep: the reader joins no consumer group and commits nothing to the broker. Only committed records are
read; a range may hold fewer records than offsets, as compaction and transactions leave holes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from mlray.errors import MlrayError, SpecError, WorkError
from mlray.sources import records
from mlray.sources.piece import Found, Piece
from mlray.sources.places import Secrets, none
from mlray.sources.ranges import IDENTITY, Batch, Range, pieces, share
from mlray.sources.records import Records
from mlray.sources.shape import shape
from mlray.sources.streams import KafkaSource
from mlray.sources.units import named

ABOUT = {"_partition": "int", "_offset": "int", "_timestamp": "timestamp", "_key": "text"}
ANSWER_S = 15.0  # for a broker to answer a question
SILENCE_S = 60.0  # without a record that should be there
AT_ONCE = 10_000


def find(name: str, source: KafkaSource, base: Path, rows_per_piece: int, secrets: Secrets = none) -> Found:
    """All records there are now. Raises SpecError: no broker answers, no such topic."""
    with _open(name, source, secrets) as consumer:
        ends = _ends(consumer, source, _where(name, source))
        found = _found(name, source, _identity(source, secrets), ends, rows_per_piece)
        if source.fresh_within:
            found = replace(found, changed=_newest(consumer, source, ends))
    return found


def after(
    name: str,
    source: KafkaSource,
    offsets: Mapping[str, str],
    most: int,
    rows_per_piece: int,
    start: str = "earliest",
    on_gap: str = "refuse",
    secrets: Secrets = none,
) -> Batch:
    """At most so many records behind the offsets. A partition without one begins at its start; at its end, if there is none at all."""
    where = _where(name, source)
    with _open(name, source, secrets) as consumer:
        ends = _ends(consumer, source, where)
        fresh = start == "latest" and not offsets
        at = {p: int(offsets.get(str(p), high if fresh else low)) for p, (low, high) in ends.items()}
        gaps = _gaps(at, ends, on_gap, where)
        at = {p: max(place, ends[p][0]) for p, place in at.items()}
        taken = share({str(p): high - at[p] for p, (_, high) in ends.items()}, most)
        ranges = {p: (at[p], at[p] + taken[str(p)]) for p in ends}
        found = _found(name, source, _identity(source, secrets), ranges, rows_per_piece)
    more = any(ranges[p][1] < high for p, (_, high) in ends.items())
    return Batch(found, {**offsets, **{str(p): str(stop) for p, (_, stop) in ranges.items()}}, gaps, more)


def read(found: Found, source: KafkaSource, pieces: Sequence[Piece], secrets: Secrets = none) -> Iterator[tuple[Piece, pa.Table]]:
    """Raises WorkError when records of a piece are gone, or do not come."""
    there_is = dict(found.columns)
    with _open(found.name, source, secrets) as consumer:
        for unit, group in groupby(pieces, key=lambda piece: piece.unit):
            partition, where = _partition(found.units[unit]), found.place(unit)
            for piece, messages in _messages(consumer, source, partition, list(group), where):
                yield piece, records.table(_records(messages, partition), source, there_is, where)


def unchanged(found: Found, source: KafkaSource, secrets: Secrets = none) -> None:
    """Raises WorkError when records were deleted while they were read; those that came meanwhile are not part of what was found."""
    with _open(found.name, source, secrets) as consumer:
        ends = _ends(consumer, source, found.where)
    for piece in found.pieces:
        low, high = ends.get(_partition(found.units[piece.unit]), (0, 0))
        if not low <= piece.start <= piece.stop <= high:
            raise WorkError(f"{found.place(piece.unit)}: records were deleted while they were read", hint="run the ingest again")


@contextmanager
def _open(name: str, source: KafkaSource, secrets: Secrets) -> Iterator[Any]:
    try:
        from confluent_kafka import Consumer, KafkaError, KafkaException
    except ImportError as missing:
        raise SpecError(f"source {name}: Kafka needs a client", hint="pip install 'mlray[kafka]'") from missing
    heard: list[Any] = []
    with closing(Consumer({**settings(source, secrets), "error_cb": heard.append}, logger=_quiet())) as consumer:
        try:
            yield consumer
        except KafkaException as error:
            # A user who is refused looks like a broker that does not answer; what was heard meanwhile says which.
            consumer.poll(0)
            refused = [told for told in heard if told.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL)]
            raise _told(refused[0] if refused else error.args[0], _where(name, source)) from None


def settings(source: KafkaSource, secrets: Secrets) -> dict[str, Any]:
    """For a consumer of librdkafka. The group is needed by its interface, and never joined."""
    return reaching(source, secrets) | {
        "group.id": "mlray",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "fetch.wait.max.ms": 50,
        "allow.auto.create.topics": False,
    }


def reaching(source: KafkaSource, secrets: Secrets) -> dict[str, Any]:
    """How the brokers are reached."""
    to = source.connection
    given: dict[str, Any] = {
        "bootstrap.servers": to.bootstrap,
        "security.protocol": to.security,
        "socket.timeout.ms": int(ANSWER_S * 1000),
    }
    if to.username and to.password:
        given |= {
            "sasl.mechanism": to.mechanism,
            "sasl.username": secrets(to.username.secret),
            "sasl.password": secrets(to.password.secret),
        }
    return given | ({"ssl.ca.pem": secrets(to.ca.secret)} if to.ca else {})


def _quiet() -> Any:
    """What librdkafka tells of its connections is not for the terminal; what matters comes back as an error."""
    import logging

    log = logging.getLogger("mlray.kafka")
    log.addHandler(logging.NullHandler())
    log.propagate = False
    return log


def _ends(consumer: Any, source: KafkaSource, where: str) -> dict[int, tuple[int, int]]:
    """(first offset, offset after the last) by partition."""
    from confluent_kafka import TopicPartition

    topic = consumer.list_topics(source.topic, timeout=ANSWER_S).topics[source.topic]
    if topic.error or not topic.partitions:
        raise SpecError(f"{where}: no such topic, or no right to read it", hint="see the topic and connection of the source")
    return {p: consumer.get_watermark_offsets(TopicPartition(source.topic, p), ANSWER_S) for p in sorted(topic.partitions)}


def _gaps(at: Mapping[int, int], ends: Mapping[int, tuple[int, int]], on_gap: str, where: str) -> dict[str, int]:
    """Records that the broker deleted before they were read. Raises WorkError unless they may be skipped."""
    for partition, (_, high) in ends.items():
        if at[partition] > high:
            raise WorkError(
                f"{where}, partition {partition}: ends before the offset read last", hint="was the topic made anew? use another dataset"
            )
    gaps = {str(p): low - at[p] for p, (low, _) in ends.items() if at[p] < low}
    if gaps and on_gap == "refuse":
        first = next(iter(gaps))
        raise WorkError(
            f"{where}, partition {first}: {gaps[first]:,} records were deleted before they were read",
            hint="keep records longer in the topic; follow: on_gap: skip goes on behind them",
        )
    return gaps


def _identity(source: KafkaSource, secrets: Secrets) -> str:
    """Names the topic itself: one that is deleted and made anew has the same name and the same offsets, and other records."""
    from confluent_kafka import TopicCollection
    from confluent_kafka.admin import AdminClient

    admin = AdminClient(reaching(source, secrets), logger=_quiet())  # its answer ends with it
    told = admin.describe_topics(TopicCollection([source.topic]), request_timeout=ANSWER_S)[source.topic].result(ANSWER_S)
    return str(told.topic_id)


def _found(name: str, source: KafkaSource, topic: str, ranges: Mapping[int, tuple[int, int]], rows_per_piece: int) -> Found:
    where = _where(name, source)
    columns = records.columns(source, ABOUT)
    shape(source, columns, where)
    identity = named(source.topic, topic)
    order = sorted(ranges)
    cut = pieces([Range(unit, *ranges[p]) for unit, p in enumerate(order)], rows_per_piece, identity)
    rows = sum(stop - start for start, stop in ranges.values())
    digest = named(identity, sorted(ranges.items()))
    units = tuple(f"partition {p}" for p in order)
    return Found(name, where, units, digest, tuple(columns.items()), cut, rows, None, ((IDENTITY, topic),))


def _messages(consumer: Any, source: KafkaSource, partition: int, pieces: list[Piece], where: str) -> Iterator[tuple[Piece, list[Any]]]:
    """The records of each piece. They end with the first one behind it, or with the end of what may be read."""
    from confluent_kafka import KafkaError, TopicPartition

    held: list[Any] = []
    at = None
    for piece in pieces:
        if at != piece.start:
            consumer.assign([TopicPartition(source.topic, partition, piece.start)])
            held, at = [], piece.start
        deadline, ended = time.monotonic() + SILENCE_S, False
        while not ended and not (held and held[-1].offset() >= piece.stop - 1):
            if time.monotonic() > deadline:
                raise WorkError(f"{where}: no record came for {SILENCE_S:.0f}s", hint="see whether the brokers are well; run it again")
            for message in consumer.consume(min(AT_ONCE, piece.stop - piece.start), 0.5):
                deadline = time.monotonic() + SILENCE_S
                if (error := message.error()) is None:
                    held.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended = message.offset() >= piece.stop
                else:
                    raise _told(error, where)
        mine = [message for message in held if message.offset() < piece.stop]
        held, at = held[len(mine) :], piece.stop
        yield piece, mine


def _records(messages: list[Any], partition: int) -> Records:
    offsets = [message.offset() for message in messages]
    moments = [moment if kind else None for kind, moment in (message.timestamp() for message in messages)]
    about = {
        "_partition": pa.array([partition] * len(messages), pa.int64()),
        "_offset": pa.array(offsets, pa.int64()),
        "_timestamp": pa.array(moments, pa.timestamp("ms", tz="UTC")),
        "_key": pa.array([message.key() for message in messages], pa.binary()),
    }
    return Records([message.value() for message in messages], about, offsets)


def _newest(consumer: Any, source: KafkaSource, ends: Mapping[int, tuple[int, int]]) -> datetime | None:
    """When the newest of the last records was written."""
    from confluent_kafka import TopicPartition

    last = [TopicPartition(source.topic, p, high - 1) for p, (low, high) in ends.items() if high > low]
    if not last:
        return None
    consumer.assign(last)
    moments, deadline = list[int](), time.monotonic() + ANSWER_S
    while len(moments) < len(last) and time.monotonic() < deadline:
        moments += [m.timestamp()[1] for m in consumer.consume(len(last), 0.5) if not m.error() and m.timestamp()[0]]
    return datetime.fromtimestamp(max(moments) / 1000, UTC) if moments else None


def _told(error: Any, where: str) -> MlrayError:
    from confluent_kafka import KafkaError

    if error.code() == KafkaError._AUTO_OFFSET_RESET:
        return WorkError(f"{where}: records were deleted before they were read", hint="keep records longer in the topic; run it again")
    if error.code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE):
        return WorkError(f"{where}: no broker answers ({error.str()})", hint="see the connection of the source")
    said = error.str().split(": ", 1)[-1] if error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL) else error.str()
    return SpecError(f"{where}: {said}", hint="see the connection and topic of the source")


def _where(name: str, source: KafkaSource) -> str:
    return f"source {name}: topic {source.topic}"


def _partition(unit: str) -> int:
    return int(unit.rpartition(" ")[2])
