"""The price table of a home: what mlray ships, and what was read since; and cluster files with their prices looked up."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files as packaged
from pathlib import Path
from typing import Any

from mlray import files
from mlray.errors import Mistake, SpecError, StoreError
from mlray.home import Home, private_folder, write_private
from mlray.market.prices.form import rows_of, written
from mlray.market.prices.table import Listed, PriceTable, priced, unknown
from mlray.market.spec import Cluster


@dataclass(frozen=True, slots=True)
class Updated:
    """What an update brought: prices not known before, others newer than those known, and the rest, which changed nothing."""

    added: int
    newer: int
    older: int
    file: Path


class PriceStore:
    """The prices of one home, in its `prices.json`; of one price the newest counts, wherever it came from."""

    def __init__(self, home: Home) -> None:
        self.file = home.root / "prices.json"

    def table(self) -> PriceTable:
        """Shipped and own prices. Raises StoreError when the home's file cannot be understood."""
        return _table(self.file, _stamp(self.file))

    def update(self, rows: Sequence[Listed]) -> Updated:
        """Keeps the rows that are newer than what is known, in one step: a mistake on the way leaves the file as it was."""
        with self._alone():
            known = self.table()
            fresh = [row for row in PriceTable.of(rows).rows.values() if _fresh(row, known)]
            own = PriceTable.of([*_own(self.file), *fresh])
            write_private(self.file, json.dumps(written(row for _, row in sorted(own.rows.items())), indent=0))
        added = sum(row.name not in known.rows for row in fresh)
        return Updated(added, len(fresh) - added, len(rows) - len(fresh), self.file)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two updates at once would each drop what the other read."""
        lock = os.open(private_folder(self.file.parent) / ".prices.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def read_cluster(home: Home, path: Path) -> Cluster:
    """The cluster of a file, named prices looked up; one that nobody knows stays a name. Raises SpecError, StoreError."""
    cluster = files.load(path, Cluster)
    return priced(cluster, PriceStore(home).table()) if unknown(cluster) else cluster


def refuse_unknown(cluster: Cluster, path: Path) -> None:
    """Raises SpecError that lists each price of the file that no table has."""
    document = files.read(path)
    where = ("metadata", "mlray", "prices")
    fix = (
        "no price of this name is known: mlray prices list shows those that are, mlray prices update brings more; or write the price itself"
    )
    wrong = [Mistake(str(path), document.line((*where, kind)), ".".join((*where, kind)), str(name), fix) for kind, name in unknown(cluster)]
    if wrong:
        raise SpecError.listing(tuple(wrong))


def _fresh(row: Listed, known: PriceTable) -> bool:
    before = known.rows.get(row.name)
    return before is None or row.as_of > before.as_of or (row.as_of == before.as_of and row != before)


def _stamp(file: Path) -> tuple[int, int] | None:
    """What changes when the file does: it is only ever replaced."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


@lru_cache(maxsize=4)
def _table(file: Path, stamp: tuple[int, int] | None) -> PriceTable:
    """Asked on every look of a governor, hence kept while the file is the same."""
    return _shipped().with_rows(_own(file)) if stamp else _shipped()


@lru_cache(maxsize=1)
def _shipped() -> PriceTable:
    folder = packaged("mlray.market.prices")
    tables = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".json")), key=lambda entry: entry.name)
    return PriceTable.of(row for entry in tables for row in rows_of(json.loads(entry.read_text("utf-8"))))


def _own(file: Path) -> tuple[Listed, ...]:
    try:
        found: Any = json.loads(file.read_text())
        return tuple(rows_of(found))
    except FileNotFoundError:
        return ()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{file} cannot be understood: {error}", hint="remove it and run mlray prices update again") from error
