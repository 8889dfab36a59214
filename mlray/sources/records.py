"""Values of records, as a stream hands them out -> one table of the columns that are wanted. Arrow and Polars decode them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from mlray.errors import MlrayError, WorkError
from mlray.sources import avro, jsonl, typed
from mlray.sources.shape import Taken, shape
from mlray.sources.streams import StreamSource
from mlray.sources.typed import LINE, UNREADABLE

FRAME = 5  # a zero and the schema's number, before each value
WHY = {"json": "the record is not a JSON object", "avro": "the record is not of its Avro schema", "text": "the record is empty"}


@dataclass(frozen=True, slots=True)
class Records:
    """Some records of one partition, in order: their values, what the stream says of each, and their places in it."""

    values: Sequence[bytes | None]
    about: Mapping[str, pa.Array]
    places: Sequence[int]


def columns(source: StreamSource, about: Mapping[str, str]) -> dict[str, str]:
    """Name there -> type: what the stream says of each record, and what the values hold as far as anybody can know."""
    match source.value:
        case "text":
            return {"value": "text", **about}
        case "avro":
            return {**typed.columns_of(avro.decode(_header(source), "").schema, source.renamed), **about}
    wanted = {there: "null" for there in source.renamed if there not in about}
    return {**{there.split(".")[0]: "other" for there in wanted if "." in there}, **wanted, **about}


def table(found: Records, source: StreamSource, there_is: Mapping[str, str], where: str) -> pa.Table:
    """The wanted columns, `_line` (the record's place), and `_unreadable` where a record or a value is to be rejected.

    Raises WorkError naming the place, never a value.
    """
    taken = shape(source, there_is, where)
    values = [None if value is None else value[FRAME:] for value in found.values] if source.framing == "confluent" else list(found.values)
    inside = tuple(column for column in taken if column.there not in found.about)
    decoded, bad = _decoded(values, source, inside, dict(there_is), where)
    if bad and source.on_bad_record == "refuse":
        place = found.places[min(bad)]
        raise WorkError(f"{where}: {WHY[source.value]} at {place}", hint="on_bad_record: reject keeps it aside")
    for name, column in found.about.items():
        if name in source.renamed:
            decoded = decoded.append_column(name, column)
    rows = typed.finish(decoded, taken, source.nulls, where, found.places[0] if found.places else 0)
    reason = _reasons(rows, bad, WHY[source.value])
    if UNREADABLE in rows.column_names:
        rows = rows.drop_columns([UNREADABLE])
    return rows.append_column(UNREADABLE, reason).append_column(LINE, pa.array([_line(place) for place in found.places], pa.int64()))


Decoder = Callable[[list[bytes]], pa.Table]


def _decoded(
    values: list[bytes | None], source: StreamSource, taken: tuple[Taken, ...], there_is: dict[str, str], where: str
) -> tuple[pa.Table, set[int]]:
    """The columns inside the values, and which of the values are none."""
    if source.value == "text":
        return pa.table({"value": pa.array(values, pa.binary())}), {n for n, value in enumerate(values) if value is None}
    decode = _json(taken, there_is, where) if source.value == "json" else _avro(source, taken, where)
    valid = _is_object if source.value == "json" else _alone(decode)
    bad = {n for n, value in enumerate(values) if not value}
    if len(bad) < len(values):
        try:
            good = decode([value for value in values if value])
        except MlrayError:
            bad |= {n for n in _failing(values, decode, valid) if n not in bad}
            good = decode([value for n, value in enumerate(values) if value and n not in bad])
    else:
        good = decode([])
    return _spread(good, len(values), bad), bad


def _failing(values: list[bytes | None], decode: Decoder, valid: Callable[[bytes], bool]) -> list[int]:
    """Which values are none, by halves: there are few."""

    def look(numbers: list[int]) -> list[int]:
        if len(numbers) <= 1:
            return [n for n in numbers if not valid(values[n] or b"")]
        try:
            decode([values[n] or b"" for n in numbers])
            return []
        except MlrayError:
            half = len(numbers) // 2
            return look(numbers[:half]) + look(numbers[half:])

    return look([n for n, value in enumerate(values) if value])


def _spread(good: pa.Table, rows: int, bad: set[int]) -> pa.Table:
    """With an empty row for each value that is none."""
    if not bad:
        return good
    left = iter(range(good.num_rows))
    places = [None if number in bad else next(left) for number in range(rows)]
    return good.take(pa.array(places, pa.int64()))


def _json(taken: tuple[Taken, ...], there_is: dict[str, str], where: str) -> Decoder:
    def decode(values: list[bytes]) -> pa.Table:
        # A line break stands between the parts of a JSON text, never inside of a string, so it may become a space.
        text = b"\n".join(
            value.replace(b"\n", b" ").replace(b"\r", b" ") if b"\n" in value or b"\r" in value else value for value in values
        )
        if not text:
            return pa.table({column.there: pa.nulls(0) for column in taken})
        return jsonl.parse(text + b"\n", taken, there_is, where, 0)

    return decode


def _is_object(value: bytes) -> bool:
    try:
        return isinstance(json.loads(value), dict)
    except ValueError:
        return False


def _avro(source: StreamSource, taken: tuple[Taken, ...], where: str) -> Decoder:
    header = _header(source)

    def decode(values: list[bytes]) -> pa.Table:
        # Each record is a block of its own: one that is cut off must not be filled up from the next.
        raw = io.BytesIO()
        raw.write(header)
        for value in values:
            raw.write(b"\x02" + _varint(len(value)) + value + bytes(avro.SYNC))
        return avro.decode(raw.getvalue(), where, list(dict.fromkeys(column.there.split(".")[0] for column in taken)))

    return decode


def _alone(decode: Decoder) -> Callable[[bytes], bool]:
    def valid(value: bytes) -> bool:
        try:
            return bool(decode([value]).num_rows == 1)
        except MlrayError:
            return False

    return valid


def _header(source: StreamSource) -> bytes:
    """Of an Avro container file that holds such records, unpacked."""
    said = {"avro.schema": (source.avro_schema or "").encode(), "avro.codec": b"null"}
    pairs = b"".join(_varint(len(name)) + name.encode() + _varint(len(text)) + text for name, text in said.items())
    return b"Obj\x01" + _varint(len(said)) + pairs + _varint(0) + bytes(avro.SYNC)


def _varint(value: int) -> bytes:
    """As Avro writes a whole number that is not negative."""
    value, out = value << 1, bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _reasons(rows: pa.Table, bad: set[int], why: str) -> pa.ChunkedArray | pa.Array:
    reason = rows[UNREADABLE] if UNREADABLE in rows.column_names else pa.chunked_array([pa.nulls(rows.num_rows, pa.string())])
    if not bad:
        return reason
    return pc.if_else(pa.array([number in bad for number in range(rows.num_rows)]), why, reason)


def _line(place: int) -> int:
    """A place that fits the column: Kinesis counts with 186 bits, of which the last tell records apart."""
    return place if place < 2**63 else place % 2**63
