"""One batch of a stream, from its records to sealed parts, in one task that may run on any node and any number of times.

An edge. It is the mill of every ingest, and besides: it judges what is late, sums up windows, and merges small parts. The rows
of open windows never leave it: their sums are read from the version before, and sealed again with the batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from mlray.errors import KeyringError
from mlray.ingest import watermark, windows
from mlray.ingest.chain import Standing
from mlray.ingest.mill import Opened, Work, Writer, keys_of, raw, seal, secrets_of, this_node
from mlray.ingest.pieces import Cut
from mlray.ingest.refine import schema
from mlray.ingest.report import BlockReport, part_name
from mlray.ingest.splits import REJECTED
from mlray.ingest.stream import Follow, Window
from mlray.ledger.entry import Usage
from mlray.vault.store import Draft, Vault
from mlray.vault.version import DatasetVersion, Part

Panes = dict[str, list[pa.Table]]  # window -> what each piece adds


@dataclass(frozen=True, slots=True)
class Batch:
    """What a task is sent: names and addresses, no row and no secret."""

    work: Work
    draft: Draft
    follow: Follow
    before: Standing
    previous: DatasetVersion | None
    merge: Mapping[str, tuple[Part, ...]]


@dataclass(frozen=True, slots=True)
class Milled:
    """What comes back: parts and counts, no row. `merged` stands for the parts of `batch.merge`, split by split."""

    reports: tuple[BlockReport, ...]
    windows: tuple[Part, ...]
    state: tuple[Part, ...]
    merged: Mapping[str, tuple[Part, ...]]
    watermark: int | None
    newest: Mapping[str, int]
    late: int


Runner = Callable[[Batch], Milled]


class Watching:
    """Writes parts, and sums up the rows that are kept as they pass. Leaves no receipts: a batch is done whole or not at all."""

    def __init__(self, writer: Writer, follow: Follow) -> None:
        self._writer, self._follow = writer, follow
        self.panes: Panes = {window.name: [] for window in follow.windows}
        self.newest: int | None = None

    def write(self, name: str, split: str, rows: pa.Table, *around: Any, **more: Any) -> Part:
        if split != REJECTED and (rule := self._follow.watermark):
            found = watermark.newest(rows, rule)
            self.newest = max((at for at in (self.newest, found) if at is not None), default=None)
            for window in self._follow.windows:
                self.panes[window.name].append(windows.panes(rows, window, rule.column))
        return self._writer.write(name, split, rows, *around, **more)

    def done(self, found: BlockReport) -> None:
        pass

    def receipts(self, works: Sequence[str]) -> Mapping[str, bytes]:
        return {}


@dataclass(slots=True)
class _Seen:
    """What the pieces of a batch came to, one after the other."""

    reports: list[BlockReport] = field(default_factory=list)
    panes: Panes = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)
    late: int = 0


def here(batch: Batch, sides: tuple[pa.Table, ...]) -> Milled:
    """The batch, in this process."""
    vault = batch.work.vault.open()
    writer = batch.work.sink.open(batch.work.job)
    return mill(batch, Opened(sides, {}, keys_of(batch.work.job, vault), writer, secrets_of(vault), Usage("", "", 0.0, 0.0)), vault)


def on_node(batch: Batch, sides: Any) -> Milled:
    """The batch, as a Ray task: what it used is metered."""
    vault = batch.work.vault.open()
    writer = batch.work.sink.open(batch.work.job)
    return mill(batch, Opened(sides, {}, keys_of(batch.work.job, vault), writer, secrets_of(vault), this_node()), vault)


def mill(batch: Batch, opened: Opened, vault: Vault) -> Milled:
    cuts = [cut for deal in batch.work.deals for cut in deal]
    seen = _pieces(batch, cuts, opened)
    newest, now = batch.before.newest, batch.before.watermark
    if rule := batch.follow.watermark:
        newest = watermark.newer(newest, seen.newest)
        now = watermark.advance(now, newest, rule)
    closed, state = _windows(batch, seen.panes, now, vault)
    merged = {split: _merged(batch, parts, opened.writer, vault) for split, parts in batch.merge.items()}
    return Milled(tuple(seen.reports), closed, state, merged, now, newest, seen.late)


def _pieces(batch: Batch, cuts: Sequence[Cut], opened: Opened) -> _Seen:
    seen = _Seen(panes={window.name: [] for window in batch.follow.windows})
    begun = time.monotonic()
    for cut, rows in raw(batch.work, cuts, opened):
        watching = Watching(opened.writer, batch.follow)
        late = 0
        if rule := batch.follow.watermark:
            rows, late = watermark.judge(rows, rule, batch.before.watermark)
        found = seal(batch.work, cut, rows, replace(opened, writer=watching), begun)
        if late and rule and rule.late == "warn":
            found = replace(found, warned=found.warned | {watermark.LATE: late})
        seen.reports.append(found)
        seen.late += late
        if watching.newest is not None:
            unit = batch.work.founds[cut.source].units[cut.piece.unit]
            seen.newest[unit] = max(watching.newest, seen.newest.get(unit, watching.newest))
        for name, panes in watching.panes.items():
            seen.panes[name] += panes
        begun = time.monotonic()
    return seen


def _windows(batch: Batch, panes: Panes, now: int | None, vault: Vault) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """(windows that ended, sealed; what is known of those still open, sealed)."""
    rule = batch.follow.watermark
    closed: list[Part] = []
    state: list[Part] = []
    number = batch.before.batch
    for window in batch.follow.windows:
        assert rule
        empty = windows.panes(schema(batch.work.job).empty_table(), window, rule.column)
        open_ = windows.merge([empty, *_state(batch, window, vault), *panes[window.name]], window)
        done = windows.close(open_, window, batch.before.watermark, now)
        if done.rows.num_rows:
            closed.append(_written(batch, vault, part_name(window.split, number), window.split, done.rows))
        if done.open.num_rows:
            state.append(_written(batch, vault, part_name(window.state, number), window.state, done.open))
    return tuple(closed), tuple(state)


def _written(batch: Batch, vault: Vault, name: str, split: str, rows: pa.Table) -> Part:
    """Windows are made of columns that are sealed as they are, so they have no second seal."""
    return vault.write_part(batch.draft, name, split, rows, compression=batch.work.job.compression)


def _state(batch: Batch, window: Window, vault: Vault) -> list[pa.Table]:
    if not batch.previous:
        return []
    return [vault.read_part(batch.previous, part) for part in batch.previous.manifest.of(window.state)]


def _merged(batch: Batch, parts: Sequence[Part], writer: Writer, vault: Vault) -> tuple[Part, ...]:
    """The rows of small parts in parts of full size, under the names of the first of them.

    Raises KeyringError where some columns cannot be opened: they would be lost.
    """
    assert batch.previous
    reader, split, size = vault.reader(batch.previous), parts[0].split, batch.work.job.rows_per_part
    rows = pa.concat_tables([reader.table(part) for part in parts])
    slices = [(parts[number].name, rows.slice(start, size)) for number, start in enumerate(range(0, rows.num_rows, size))]
    if split in {window.split for window in batch.follow.windows}:
        return tuple(_written(batch, vault, name, split, piece) for name, piece in slices)
    if not set(schema(batch.work.job).names) <= set(rows.column_names):
        raise KeyringError("small parts cannot be merged without the keys of all columns", hint="see mlray keys check")
    return tuple(writer.write(name, split, piece, None, "") for name, piece in slices)
