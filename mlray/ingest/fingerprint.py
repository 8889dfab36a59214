"""64-bit hashes of rows, the same on every machine and in every release: SipHash-2-4 over the text of the values.

The implementation is pandas' `hash_array` for text, a C loop. Polars' and DuckDB's hashes are faster, but their authors change
them between releases, and a row would change its split. Numbers are hashed as their text, not by pandas' hash of numbers,
which takes no key. A missing value and NaN have no hash: they equal nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlray.vault.keyring import DataKey

Hashes = NDArray[np.uint64]
Flags = NDArray[np.bool_]
FEW = 0.1  # distinct values for each row, below which each is hashed once
KEY_BYTES = 12  # 16 characters of base64: pandas takes keys as text of 16 bytes


def hashes(columns: Sequence[pa.ChunkedArray], key: str) -> Hashes:
    """One hash for the values of a row together, in order. Rows that `whole` calls incomplete have hashes that mean nothing."""
    mixed = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        mixed = _mix(mixed + np.uint64(0x9E3779B97F4A7C15)) ^ _hashed(column, key)
    return mixed if len(columns) == 1 else _mix(mixed)


def whole(columns: Sequence[pa.ChunkedArray]) -> Flags:
    """Where no value is missing or NaN."""
    found = np.ones(len(columns[0]), np.bool_)
    for column in columns:
        found &= pc.invert(pc.is_null(column, nan_is_null=True)).combine_chunks().to_numpy(zero_copy_only=False)
    return found


def public_key(purpose: str) -> str:
    """A key that everybody knows: the same rows are chosen everywhere."""
    return _text(hashlib.sha256(f"mlray {purpose}".encode()).digest())


def secret_key(key: DataKey, purpose: str) -> str:
    """A key that keeps hashes from being compared with those of guessed values."""
    return _text(key.mac(f"mlray hashes {purpose}".encode()))


def unit(values: Hashes) -> NDArray[np.float64]:
    """Hashes as numbers from 0 to below 1; the upper 53 bits, which is all a float holds."""
    return (values >> np.uint64(11)).astype(np.float64) * 2.0**-53


def pack(values: NDArray[np.generic]) -> str:
    """As text, to travel in JSON; little-endian whatever the machine."""
    return base64.b85encode(np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()).decode()


def unpack(text: str) -> Hashes:
    return np.frombuffer(base64.b85decode(text), "<u8").astype(np.uint64)


def _hashed(column: pa.ChunkedArray, key: str) -> Hashes:
    from pandas.util import hash_array

    text = as_text(column)
    coded = text.dictionary_encode() if _repeats(text) else None
    values = text if coded is None else coded.dictionary
    found: Hashes = hash_array(values.to_numpy(zero_copy_only=False).astype(object), hash_key=key, categorize=False)
    return found if coded is None else found[coded.indices.to_numpy(zero_copy_only=False)]


def as_text(column: pa.ChunkedArray) -> pa.Array:
    """The text that stands for each value; "" for a missing one. Moments are whole microseconds, 1.0 is 1 and -0.0 is 0."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    if pa.types.is_floating(column.type):
        column = pc.add(column, 0.0)
    text = column.cast(pa.string())
    found = pc.fill_null(text, "")
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _repeats(text: pa.Array) -> bool:
    """Whether hashing each distinct value once pays, by the first thousand rows."""
    first = text.slice(0, 1000)
    return len(first) == 1000 and pc.count_distinct(first).as_py() < FEW * len(first)


def _mix(x: Hashes) -> Hashes:
    """The finaliser of splitmix64: every bit of the result depends on every bit before."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest[:KEY_BYTES]).decode()
