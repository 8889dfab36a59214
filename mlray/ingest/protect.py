"""What happens to sensitive columns before they are sealed: pseudonyms, a mask, coarser values, or nothing left.

Columns that are encrypted pass as they are: `sealed_columns` tells the vault under whose key each is sealed a second time.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlray.ingest.protection import Drop, Encrypt, Generalise, Mask, Protection, Pseudonymise, Scope
from mlray.ingest.spec import IngestJob
from mlray.sources.spec import ColumnType
from mlray.sources.typed import ARROW
from mlray.vault.keyring import DataKey

MASK = "***"
PSEUDONYM_BYTES = 16  # 128 bits: no two of 2^40 values share one (chance below 2^-48)
SKETCHES = "_sketches"  # name of the key under which values are hashed to be compared across blocks


def protect(table: pa.Table, columns: Mapping[str, Protection], keys: Mapping[str, DataKey]) -> pa.Table:
    """The table with its sensitive columns changed. `keys` holds one key for each pseudonymised column."""
    for column, how in columns.items():
        place = table.schema.get_field_index(column)
        match how:
            case Drop():
                table = table.remove_column(place)
            case Mask(keep=keep):
                table = table.set_column(place, column, mask(table[column], keep))
            case Pseudonymise():
                table = table.set_column(place, column, pseudonyms(table[column], keys[column]))
            case Generalise():
                table = table.set_column(place, column, generalise(table[column], how))
    return table


def sealed_columns(job: IngestJob) -> dict[str, Scope]:
    """Columns that are sealed a second time, and under whose key."""
    return {column: how.scope or "personal" for column, how in job.protection.items() if isinstance(how, Encrypt)}


def scopes(job: IngestJob) -> dict[str, str]:
    """The pseudonym key that each use needs, by the name under which `refine` looks for it.

    A scope of the job's own has a stroke in it and a declared one has none, so that the two never meet.
    """
    made = {column: how for column, how in job.protection.items() if isinstance(how, Pseudonymise)}
    compared = bool(job.leakage) or any(check.rule == "unique" for check in job.checks)
    own = {SKETCHES: f"{job.dataset}/{SKETCHES}"} if compared else {}
    return {column: how.scope or f"{job.dataset}/{column}" for column, how in made.items()} | own


def type_of(kind: ColumnType, how: Protection | None) -> pa.DataType:
    """The type of a column of this kind once it is protected."""
    named = isinstance(how, Mask | Pseudonymise) or (isinstance(how, Generalise) and bool(how.bins))
    return pa.string() if named else ARROW[kind]


def pseudonyms(column: pa.ChunkedArray, key: DataKey) -> pa.Array:
    """HMAC-SHA256 under the key, 32 hex characters: equal values stay equal, and nobody without the key can undo or guess them.

    It still shows which rows are equal and how often. Computed once per distinct value; a missing value stays missing.
    """
    coded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    names = [key.mac(value)[:PSEUDONYM_BYTES].hex() for value in coded.dictionary.cast(pa.binary()).to_pylist()]
    return pc.take(pa.array(names, pa.string()), coded.indices)


def mask(column: pa.ChunkedArray, keep: int = 0) -> pa.Array:
    """Says whether there was a value, and shows the last characters of those that have more than are kept."""
    there = column.is_valid().combine_chunks()
    hidden = pc.if_else(there, pa.scalar(MASK), pa.scalar(None, pa.string()))
    if not keep:
        return hidden
    text = column.cast(pa.string()).combine_chunks()
    # A value of four digits of which four are kept would be seen whole.
    ends = pc.binary_join_element_wise(MASK, pc.utf8_slice_codeunits(text, -keep), "")
    return pc.if_else(pc.greater(pc.utf8_length(text), 2 * keep), ends, hidden)


def generalise(column: pa.ChunkedArray, how: Generalise) -> pa.Array:
    """A coarser value of the same type, or the name of its bin; a missing value stays missing."""
    flat = column.combine_chunks()
    if how.to:
        return pc.floor_temporal(flat, unit=how.to)
    if how.prefix:
        return pc.utf8_slice_codeunits(flat, 0, how.prefix)
    return _binned(flat, how.bins) if how.bins else _stepped(flat, how.step or 1.0)


def _stepped(column: pa.Array, step: float) -> pa.Array:
    missing = column.is_null().to_numpy(zero_copy_only=False)
    numbers = column.fill_null(0).to_numpy()
    wide = int(step) if numbers.dtype.kind == "i" else step
    return pa.array(np.floor_divide(numbers, wide) * wide, column.type, mask=missing)


def _binned(column: pa.Array, edges: tuple[float, ...]) -> pa.Array:
    """`below 0`, `0 to 10`, `10 and above`; NaN is in no bin."""
    numbers = column.cast(pa.float64()).fill_null(np.nan).to_numpy()
    inner = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    names = pa.array([f"below {edges[0]:g}", *inner, f"{edges[-1]:g} and above"])
    return names.take(pa.array(np.searchsorted(edges, numbers, side="right"), mask=np.isnan(numbers)))
