"""Tables as encrypted Parquet: one part, read back in full, or some of its columns and rows.

Parquet modular encryption, AES_GCM_V1 alone: of 1500 bit flips, AES_GCM_CTR_V1 let 1211 through as wrong data. PyArrow's
KMS interface is not used: it accepted a replayed old file and a plaintext file in place of a sealed one.

The file's own key is the Parquet footer key, and its place the AAD prefix, which is not stored: whoever has both reads the
file with any Parquet reader that knows the standard (docs/encryption.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow.parquet.encryption import create_decryption_properties, create_encryption_properties

from mlray.errors import StoreError
from mlray.vault import columns
from mlray.vault.columns import TYPES, Second, Unlock
from mlray.vault.encoding import encodings
from mlray.vault.keyring import DataKey
from mlray.vault.sealing import refusal

Compression = Literal["zstd", "snappy", "lz4", "none"]
GROUP_ROWS = 1 << 17  # rows that statistics are kept for, and that a second seal covers at once
KNOWN = frozenset(TYPES.values())
EXTENSION = b"ARROW:extension:name"  # where the type is not registered, its column looks like any other
WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which columns (None: all that can be read), and which rows."""

    columns: tuple[str, ...] | None = None
    filter: pc.Expression | None = None


ALL = Wanted()


def seal_table(key: DataKey, table: pa.Table, context: str, compression: Compression = "zstd", second: Second | None = None) -> pa.Buffer:
    """The table as one encrypted Parquet file, footer and schema included."""
    check_types(table.schema, context)
    bounds = [(start, min(start + GROUP_ROWS, table.num_rows)) for start in range(0, table.num_rows, GROUP_ROWS)]
    stored = columns.hide(table, second, bounds, context) if second else table
    plain = [field.name for field in stored.schema if columns.SEALED not in (field.metadata or {})]
    repeating, others = encodings(stored.select(plain))  # ciphertext does not repeat
    lock = create_encryption_properties(
        key.secret(), aad_prefix=context.encode(), store_aad_prefix=False, encryption_algorithm="AES_GCM_V1"
    )
    sink = pa.BufferOutputStream()
    pq.write_table(
        stored,
        sink,
        row_group_size=GROUP_ROWS,
        compression={field.name: compression if field.name in plain else "none" for field in stored.schema},
        use_dictionary=repeating,
        column_encoding=others,
        write_statistics=plain,
        encryption_properties=lock,
    )
    return sink.getvalue()


def open_table(key: DataKey, sealed: bytes | pa.Buffer, context: str, wanted: Wanted = ALL, unlock: Unlock = columns.LOCKED) -> pa.Table:
    """The rows and columns wanted, in order.

    Raises TamperError naming the context, StoreError for a column that is not there, KeyringError for one that is asked for by
    name and sealed in a scope `unlock` does not open; among all columns, such a one is left out.
    """
    try:
        with pq.ParquetFile(pa.BufferReader(sealed), decryption_properties=_lock(key, context)) as file:
            stored = file.schema_arrow
            logical = columns.logical(stored, context)
            check_types(stored, context)
            if logical is not stored:
                check_types(logical, context)
            names = _names(logical, stored, context, wanted, unlock)
            groups = _groups(file, key, sealed, context, logical, wanted.filter)
            needed = _needed(names, stored, wanted.filter)
            # One thread: it is as fast here, and Arrow's pool can abort a process that ends right after (apache/arrow#34314).
            found = file.read_row_groups(groups, columns=needed, use_threads=False)
            rows = {group: count for group in groups if (count := file.metadata.row_group(group).num_rows)}
        shown = columns.show(found, rows, context, unlock)
        return (shown.filter(wanted.filter) if wanted.filter is not None else shown).select(names)
    except (OSError, pa.ArrowException) as changed:
        raise refusal(context) from changed


def check_types(schema: pa.Schema, context: str) -> None:
    """Raises StoreError for a column type that parts do not hold."""
    for field in schema:
        if EXTENSION in (field.metadata or {}):
            raise StoreError(f"{context}: column {field.name} is of an extension type, which could run what a file says")
        if field.type not in KNOWN:
            raise StoreError(f"{context}: column {field.name} is {field.type}, not one of {', '.join(TYPES)}")


def _lock(key: DataKey, context: str):  # type: ignore[no-untyped-def]  # Arrow's class has no public name
    return create_decryption_properties(key.secret(), aad_prefix=context.encode())


def _names(logical: pa.Schema, stored: pa.Schema, context: str, wanted: Wanted, unlock: Unlock) -> list[str]:
    """The columns to return. Raises StoreError or KeyringError for one that cannot be."""
    if wanted.columns is None:
        return [name for name in logical.names if columns.readable(stored.field(name), unlock)]
    asked = [*wanted.columns, *_mentioned(wanted.filter, logical.names)]
    missing = [name for name in asked if name not in logical.names]
    if missing:
        raise StoreError(f"{context}: no column {', '.join(missing)}", hint=f"there are {', '.join(logical.names)}")
    for name in asked:
        columns.need(stored.field(name), unlock, context)
    return list(wanted.columns)


def _needed(names: Sequence[str], stored: pa.Schema, filter: pc.Expression | None) -> list[str]:
    """What has to be read for them: what the filter speaks of, and what holds the values of a sealed column, as well."""
    asked = dict.fromkeys([*names, *_mentioned(filter, stored.names)])
    return list(dict.fromkeys([*asked, *(columns.holder(stored.field(name)) for name in asked)]))


def _mentioned(filter: pc.Expression | None, names: Iterable[str]) -> list[str]:
    """Columns a filter may speak of: Arrow does not tell, so every name whose words stand in its text; one too many does no harm."""
    if filter is None:
        return []
    text = str(filter)
    words = set(WORD.findall(text))
    return [name for name in names if name in words or (not WORD.fullmatch(name) and name in text)]


def _groups(
    file: pq.ParquetFile, key: DataKey, sealed: bytes | pa.Buffer, context: str, schema: pa.Schema, filter: pc.Expression | None
) -> list[int]:
    """The row groups that may hold such rows, by their statistics; those of sealed columns are not kept."""
    if filter is None:
        return list(range(file.num_row_groups))
    options = ds.ParquetFragmentScanOptions(decryption_properties=_lock(key, context))
    fragment = ds.ParquetFileFormat(default_fragment_scan_options=options).make_fragment(pa.BufferReader(sealed))
    return [group.id for group in fragment.subset(filter=filter, schema=schema).row_groups]
