"""Sealed versions as Ray Data: a source that pushes columns and filters down to the file, and a sink that seals.

Ray's own `read_parquet` cannot read encrypted files by any argument. A task is sent the vault's address and the parts; it opens
the keys where it runs, checks every part before any row of it is used, and lets no column type through that could carry code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc
import ray.data
from ray.data.block import Block, BlockAccessor, BlockMetadata
from ray.data.context import DataContext
from ray.data.datasource import Datasink, Datasource, ReadTask, WriteResult

from mlray.errors import StoreError
from mlray.vault.keyring import Scope
from mlray.vault.store import Draft, VaultAddress
from mlray.vault.tables import Compression
from mlray.vault.version import DatasetVersion, Part

UNPACKED = 4  # rows in memory against sealed bytes, about; Ray plans its memory by it


def dataset(
    address: VaultAddress, version: DatasetVersion, split: str, columns: Sequence[str] | None = None, filter: pc.Expression | None = None
) -> ray.data.Dataset:
    """The rows of a split, in order, read where they are used. Ray's `select_columns` and `filter(expr=...)` reach the file as well."""
    if not version.manifest.of(split):
        there = ", ".join(version.manifest.splits)
        raise StoreError(f"{version}: no rows in split {split!r}", hint=f"there are {there}" if there else "it is empty")
    return ray.data.read_datasource(SealedSource(address, version, split, columns, filter))


class SealedSource(Datasource):
    """One split of one version; each task reads a few parts that stand together."""

    def __init__(
        self,
        address: VaultAddress,
        version: DatasetVersion,
        split: str,
        columns: Sequence[str] | None = None,
        filter: pc.Expression | None = None,
    ) -> None:
        super().__init__()
        self._address, self._name, self._digest = address, version.name, version.digest
        self._parts, self._filter = version.manifest.of(split), filter
        self._projection_map = {name: name for name in columns} if columns is not None else None

    def get_name(self) -> str:
        return f"Sealed {self._name}"

    def estimate_inmemory_data_size(self) -> int:
        return _size(self._parts)

    def supports_projection_pushdown(self) -> bool:
        return True

    def supports_predicate_pushdown(self) -> bool:
        return True

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: DataContext | None = None
    ) -> list[ReadTask]:
        count = max(1, min(parallelism, len(self._parts)))
        bounds = [len(self._parts) * i // count for i in range(count + 1)]
        return [self._task(self._parts[start:stop], per_task_row_limit) for start, stop in pairwise(bounds)]

    def _task(self, parts: tuple[Part, ...], limit: int | None) -> ReadTask:
        filter, columns = self._rows(), self._get_data_columns()
        known = sum(part.rows for part in parts) if filter is None else None
        read = partial(read_parts, self._address, self._name, self._digest, parts, columns, filter)
        about = BlockMetadata(num_rows=known, size_bytes=_size(parts), exec_stats=None, input_files=tuple(part.file for part in parts))
        return ReadTask(read, about, per_task_row_limit=limit)

    def _rows(self) -> pc.Expression | None:
        pushed = self.get_current_predicate()
        found = [one for one in (self._filter, pushed.to_pyarrow() if pushed is not None else None) if one is not None]
        return found[0] & found[1] if len(found) == 2 else found[0] if found else None


class SealedSink(Datasink[list[Part]]):
    """Seals what is written as parts of a draft; after the write they are in `parts`, to be committed.

    A task that runs twice writes other files under the same names, and only what came back of it counts.
    """

    def __init__(self, draft: Draft, split: str, sealed: Mapping[str, Scope] | None = None, compression: Compression = "zstd") -> None:
        self._draft, self._split, self._sealed, self._compression = draft, split, sealed, compression
        self.parts: tuple[Part, ...] = ()

    def get_name(self) -> str:
        return f"Sealed {self._draft.name}"

    def write(self, blocks: Iterable[Block], ctx: object) -> list[Part]:
        vault, task = self._draft.address.open(), getattr(ctx, "task_idx", 0)
        tables = (BlockAccessor.for_block(block).to_arrow() for block in blocks)
        filled = (table for table in tables if table.num_rows)
        names = (f"{self._split}-{task:05d}-{number:03d}" for number in range(1 << 30))
        return [
            vault.write_part(self._draft, name, self._split, table, self._sealed, compression=self._compression)
            for name, table in zip(names, filled, strict=False)
        ]

    def on_write_complete(self, write_result: WriteResult[list[Part]]) -> None:
        self.parts = tuple(sorted((part for found in write_result.write_returns for part in found), key=lambda part: part.name))


def read_parts(
    address: VaultAddress, name: str, digest: str, parts: Sequence[Part], columns: Sequence[str] | None, filter: pc.Expression | None
) -> Iterator[pa.Table]:
    """What a task does. Raises TamperError for a changed part, KeyringError without the keys, StoreError for a type no part holds."""
    from ray.data._internal.object_extensions.arrow import raise_on_pickle_object_columns  # Ray's sources call it; custom ones must

    vault = address.open()
    found = vault.find_dataset(name, digest)
    for part in parts:
        # No column at all would lose how many rows there are.
        table = vault.read_part(found, part, columns or ([found.manifest.schema[0][0]] if columns is not None else None), filter)
        raise_on_pickle_object_columns(table)
        yield table


def _size(parts: Sequence[Part]) -> int:
    return sum(part.bytes for part in parts) * UNPACKED
