"""What happens to sensitive columns before they are sealed: pseudonyms, a mask, or nothing left."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from mlray.ingest.spec import Protection
from mlray.vault.keyring import DataKey

MASK = "***"
PSEUDONYM_BYTES = 16  # 128 bits: no two of 2^40 values share one (chance below 2^-48)


def protect(table: pa.Table, columns: Mapping[str, Protection], keys: Mapping[str, DataKey]) -> pa.Table:
    """The table with its sensitive columns changed. `keys` holds one key for each pseudonymised column."""
    for column, protection in columns.items():
        place = table.schema.get_field_index(column)
        match protection:
            case Protection.DROP:
                table = table.remove_column(place)
            case Protection.MASK:
                table = table.set_column(place, column, mask(table[column]))
            case Protection.PSEUDONYMISE:
                table = table.set_column(place, column, pseudonyms(table[column], keys[column]))
    return table


def pseudonyms(column: pa.ChunkedArray, key: DataKey) -> pa.Array:
    """HMAC-SHA256 under the key, 32 hex characters: equal values stay equal, and nobody without the key can undo or guess them.

    It still shows which rows are equal and how often. Computed once per distinct value; a missing value stays missing.
    """
    coded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    names = [key.mac(value.encode())[:PSEUDONYM_BYTES].hex() for value in coded.dictionary.to_pylist()]
    return pc.take(pa.array(names, pa.string()), coded.indices)


def mask(column: pa.ChunkedArray) -> pa.Array:
    """Says only whether there was a value."""
    return pc.if_else(column.is_valid(), pa.scalar(MASK), pa.scalar(None, pa.string())).combine_chunks()
