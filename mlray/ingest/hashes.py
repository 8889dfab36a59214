"""64-bit hashes of rows, the same on every machine and in every release.

Text: SipHash-2-4 by pandas' `hash_array`, a C loop. Numbers: their 64 bits between two keys, each followed by the finaliser of
splitmix64, which is a few numpy passes; pandas' own hash of numbers takes no key. Polars' and DuckDB's hashes are faster, but
their authors change them between releases, and a row would change its split. A missing value and NaN equal nothing.
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
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def hashes(columns: Sequence[pa.ChunkedArray], key: str) -> Hashes:
    """One hash for the values of a row together, in order. Those of rows that `whole` calls incomplete mean nothing."""
    found = hashed(columns[0], key)
    for column in columns[1:]:
        found = mix(found + GOLDEN) ^ hashed(column, key)
    return found


def whole(columns: Sequence[pa.ChunkedArray]) -> Flags:
    """Where no value is missing or NaN."""
    found = np.ones(len(columns[0]), np.bool_)
    for column in columns:
        found &= ~pc.is_null(column, nan_is_null=True).to_numpy()
    return found


def public_key(purpose: str) -> str:
    """A key that everybody knows: the same rows are chosen everywhere."""
    return _text(hashlib.sha256(f"mlray {purpose}".encode()).digest())


def secret_key(key: DataKey, purpose: str) -> str:
    """A key that keeps hashes from being compared with those of guessed values."""
    return _text(key.mac(f"mlray hashes {purpose}".encode()))


def unit(values: Hashes) -> NDArray[np.float64]:
    """Hashes as numbers from 0 to below 1, by their upper 53 bits, which is all a float holds."""
    return (values >> np.uint64(11)).astype(np.float64) * 2.0**-53


def pack(values: Hashes) -> str:
    """As text, to travel in JSON; little-endian whatever the machine."""
    return base64.b85encode(values.astype("<u8").tobytes()).decode()


def unpack(text: str) -> Hashes:
    return np.frombuffer(base64.b85decode(text), "<u8").astype(np.uint64)


def hashed(column: pa.ChunkedArray, key: str) -> Hashes:
    """One hash for each value; a missing one counts as nothing, 0 or an empty text."""
    if not (pa.types.is_string(column.type) or pa.types.is_binary(column.type)):
        return scramble(_bits(column), key)
    from pandas.util import hash_array

    text = pc.fill_null(column, pa.scalar("" if pa.types.is_string(column.type) else b"", column.type)).combine_chunks()
    coded = text.dictionary_encode() if _repeats(text) else None
    values = text if coded is None else coded.dictionary
    found: Hashes = hash_array(values.to_numpy(zero_copy_only=False).astype(object), hash_key=key, categorize=False)
    return found if coded is None else found[coded.indices.to_numpy(zero_copy_only=False)]


def scramble(bits: Hashes, key: str) -> Hashes:
    """Another 64 bits for each, never the same for two; what they were cannot be seen without the key."""
    before, after = np.frombuffer(key.encode(), "<u8")
    return mix(mix(bits ^ before) + after)


def mix(x: Hashes) -> Hashes:
    """The finaliser of splitmix64: every bit of the result depends on every bit before."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _bits(column: pa.ChunkedArray) -> Hashes:
    """Of whole numbers, moments (microseconds) and truths their int64; of other numbers their float64, -0.0 as 0.0."""
    if pa.types.is_floating(column.type):
        numbers: Hashes = (pc.fill_null(column, 0.0).to_numpy() + 0.0).view(np.uint64)
        return numbers
    whole_numbers: Hashes = pc.fill_null(column.cast(pa.int64()), 0).to_numpy().view(np.uint64)
    return whole_numbers


def _repeats(text: pa.Array) -> bool:
    """Whether hashing each distinct value once pays, by the first thousand rows."""
    first = text.slice(0, 1000)
    return len(first) == 1000 and pc.count_distinct(first).as_py() < FEW * len(first)


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest[:KEY_BYTES]).decode()
