"""Values sealed for each subject, under a key that can be destroyed alone.

The rows of a block are ordered by subject, so that each one's values lie in one piece; all pieces are cut from two buffers
made once for the whole block:

    record   of a row: for each column one byte (is there a value?) and the value, or the length of a text
    text     of a row: its texts and bytes, one after the other

A subject's piece is its records and its texts, sealed with AES-256-GCM under its key. The nonce is the file's, counted up: a
subject has one piece in a block, and the file's nonce comes from a key that no other file has. Around all pieces lies the seal
of the scope, with the order of the rows and the marks of the subjects. A mark is a MAC: the file names nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mlray.errors import TamperError
from mlray.vault.keyring import DataKey

NONCE = 12
MARK = 32
TAG = 16
WIDTHS = {"int8": "i1", "int64": "<i8", "double": "<f8", "bool": "u1", "timestamp[us, tz=UTC]": "<i8", "string": "<u4", "binary": "<u4"}
TEXTS = ("string", "binary")


class Persons(Protocol):
    """The keys of subjects. A mark stands for a subject where it must not be named; None is the key of one that was erased."""

    def marks(self, subjects: Sequence[str]) -> list[bytes]: ...
    def marked(self, marks: Sequence[bytes]) -> list[DataKey | None]: ...


@dataclass(frozen=True, slots=True)
class Subjects:
    """Whose data each row is (text; rows of nobody, null, share one key), and the keys."""

    rows: pa.ChunkedArray
    keys: Persons

    def slice(self, start: int, stop: int) -> Subjects:
        return Subjects(self.rows.slice(start, stop - start), self.keys)


def encode(table: pa.Table, subjects: Subjects, key: DataKey, where: str) -> bytes:
    """Everything about these columns of one row group; `key` is the file's own in their scope."""
    names, of_row = _codes(subjects.rows)
    order = np.argsort(of_row, kind="stable")
    counts = np.bincount(of_row, minlength=len(names))
    records, texts, ends = _buffers(table.take(pa.array(order)))
    marks = subjects.keys.marks(names)
    pieces = list(_seal(subjects.keys.marked(marks), counts, records, texts, ends, _nonces(key, where, len(names)), where.encode()))
    head = pa.table(
        {
            "mark": pa.array(marks, pa.binary(MARK)),
            "rows": pa.array(counts, pa.int32()),
            "bytes": pa.array(np.fromiter(map(len, pieces), np.int64, len(pieces))),
        }
    )
    return _join(table.schema, pa.table({"subject": pa.array(of_row, pa.int32())}), head, b"".join(pieces))


def decode(data: bytes, persons: Persons, key: DataKey, where: str) -> pa.Table:
    """The columns in the order of the rows; null where the subject was erased. Raises TamperError naming `where`."""
    schema, of_row, head, body = _split(data)
    counts, sizes = head["rows"].to_numpy(), head["bytes"].to_numpy()
    keys = persons.marked(head["mark"].to_pylist())
    width = _record(schema).itemsize
    pieces = list(_open(keys, sizes, counts * width, body, _nonces(key, where, len(keys)), where))
    records = np.frombuffer(b"".join(record for record, _ in pieces), _record(schema))
    ordered = _table(schema, records, b"".join(text for _, text in pieces), where)
    back = np.empty(len(records), np.int64)
    back[np.argsort(of_row["subject"].to_numpy(), kind="stable")] = np.arange(len(records))
    return ordered.take(pa.array(back))


def _codes(rows: pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    """The subjects, each once, and for each row the number of its subject."""
    text = pc.fill_null(rows.cast(pa.string()), "")
    found = (text.combine_chunks() if isinstance(text, pa.ChunkedArray) else text).dictionary_encode()
    found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    return found.dictionary.to_pylist(), found.indices.to_numpy()


def _seal(
    keys: Sequence[DataKey | None],
    counts: np.ndarray,
    records: bytes,
    texts: bytes,
    ends: np.ndarray,
    nonces: Sequence[bytes],
    bound: bytes,
) -> Iterator[bytes]:
    """A subject that was erased before leaves nothing."""
    rows = np.concatenate([[0], np.cumsum(counts)])
    width = len(records) // rows[-1] if rows[-1] else 0
    at, text = (rows * width).tolist(), ends[rows].tolist()
    for i, key in enumerate(keys):
        plain = records[at[i] : at[i + 1]] + texts[text[i] : text[i + 1]]
        yield AESGCM(key.secret()).encrypt(nonces[i], plain, bound) if key else b""


def _open(
    keys: Sequence[DataKey | None], sizes: np.ndarray, recorded: np.ndarray, body: memoryview, nonces: Sequence[bytes], where: str
) -> Iterator[tuple[bytes, bytes]]:
    """The records and the texts of each subject; records of zeros, which are nulls, where the key or the piece is gone."""
    ends, bound = np.cumsum(sizes).tolist(), where.encode()
    try:
        for key, size, end, record, nonce in zip(keys, sizes.tolist(), ends, recorded.tolist(), nonces, strict=True):
            plain = AESGCM(key.secret()).decrypt(nonce, body[end - size : end], bound) if key and size else bytes(record)
            yield plain[:record], plain[record:]
    except (InvalidTag, ValueError) as changed:
        raise TamperError(f"{where}: the values of a subject were changed, or sealed with another key") from changed


def _nonces(key: DataKey, where: str, count: int) -> list[bytes]:
    """One for each subject of a row group, none of which any other file or group has."""
    base = key.derive("nonces of subjects").mac(where.encode())
    wide = np.empty((count, NONCE), np.uint8)
    wide[:, :8] = np.frombuffer(base[:8], np.uint8)
    wide[:, 8:] = np.arange(count, dtype=">u4").view(np.uint8).reshape(count, 4)
    data = wide.tobytes()
    return [data[i : i + NONCE] for i in range(0, len(data), NONCE)]


def _record(schema: pa.Schema) -> np.dtype:
    fields = [(f"{part}{i}", kind) for i, field in enumerate(schema) for part, kind in (("is", "u1"), ("of", WIDTHS[str(field.type)]))]
    return np.dtype(fields)


def _buffers(table: pa.Table) -> tuple[bytes, bytes, np.ndarray]:
    """The records and texts of a table, row by row, and where the texts of each row end (with a leading 0)."""
    records = np.zeros(table.num_rows, _record(table.schema))
    for i, column in enumerate(table.columns):
        records[f"is{i}"] = pc.is_valid(column).to_numpy()
        records[f"of{i}"] = _fixed(column)
    texts = [pc.fill_null(column.cast(pa.binary()), b"") for column in table.columns if str(column.type) in TEXTS]
    if not texts:
        return records.tobytes(), b"", np.zeros(table.num_rows + 1, np.int64)
    lengths = np.stack([pc.binary_length(text).to_numpy() for text in texts])
    return records.tobytes(), _interleaved(texts), np.concatenate([[0], np.cumsum(lengths.sum(axis=0))]).astype(np.int64)


def _fixed(column: pa.ChunkedArray) -> np.ndarray:
    kind = str(column.type)
    if kind in TEXTS:
        return np.asarray(pc.fill_null(pc.binary_length(column), 0))
    plain = column.cast(pa.int64()) if kind.startswith("timestamp") else column.cast(pa.uint8()) if kind == "bool" else column
    return np.asarray(pc.fill_null(plain, 0))


def _interleaved(texts: Sequence[pa.ChunkedArray]) -> bytes:
    """All bytes, row by row."""
    rows, count = len(texts[0]), len(texts)
    together = pa.chunked_array([chunk for text in texts for chunk in text.chunks], pa.binary()).cast(pa.large_binary()).combine_chunks()
    order = np.arange(rows * count).reshape(count, rows).T.reshape(-1)
    mixed = together if count == 1 else together.take(pa.array(order))
    mixed = mixed.combine_chunks() if isinstance(mixed, pa.ChunkedArray) else mixed
    _, offsets, data = mixed.buffers()
    ends = np.frombuffer(offsets, np.int64)[mixed.offset : mixed.offset + rows * count + 1]
    return memoryview(data)[ends[0] : ends[-1]].tobytes() if data is not None and rows else b""


def _table(schema: pa.Schema, records: np.ndarray, texts: bytes, where: str) -> pa.Table:
    names = [i for i, field in enumerate(schema) if str(field.type) in TEXTS]
    lengths = np.stack([records[f"of{i}"].astype(np.int64) for i in names], axis=1).reshape(-1) if names else np.zeros(0, np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    if offsets[-1] != len(texts):
        raise TamperError(f"{where}: its texts have other lengths than its records say")
    mixed = pa.Array.from_buffers(pa.large_binary(), len(lengths), [None, pa.py_buffer(offsets), pa.py_buffer(texts)])
    columns = []
    for i, field in enumerate(schema):
        absent = pa.array(records[f"is{i}"] == 0)
        if i in names:
            own = mixed.take(pa.array(np.arange(names.index(i), len(lengths), len(names)))).cast(pa.binary())
            own = own.cast(pa.string()) if str(field.type) == "string" else own
        else:
            own = pa.array(np.ascontiguousarray(records[f"of{i}"]))
        columns.append(pc.if_else(absent, pa.scalar(None, field.type), own.cast(field.type)))
    return pa.table(columns, schema=schema)


def _join(schema: pa.Schema, of_row: pa.Table, head: pa.Table, body: bytes) -> bytes:
    """Schema, order and marks as Arrow, then the pieces as they are: ciphertext does not pack."""
    front = [_stream(schema.empty_table()), _stream(of_row), _stream(head)]
    return b"".join([np.array([len(part) for part in front], "<u4").tobytes(), *front, body])


def _split(data: bytes) -> tuple[pa.Schema, pa.Table, pa.Table, memoryview]:
    ends = (12 + np.cumsum(np.frombuffer(data[:12], "<u4"))).tolist()
    whole = memoryview(data)
    parts = [pa.ipc.open_stream(whole[start:end]).read_all() for start, end in zip([12, *ends[:2]], ends, strict=True)]
    return parts[0].schema, parts[1], parts[2], whole[ends[-1] :]


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())
