"""Recorded traces on disk: JSON files as researchers publish them, folders of those, and plain CSV."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np

from mlray.errors import SpecError
from mlray.market.recorded import from_csv, from_json, price_changes
from mlray.market.trace import Trace

PRICES = "spot_price.json"
COLUMNS = ("time", "zone", "nodes", "price", "node_type")


def read_traces(path: Path | str) -> tuple[Trace, ...]:
    """The traces of a file or a folder, sorted by zone and node type. Raises SpecError with file, line and field.

    - JSON: `{"metadata": {"gap_seconds": s}, "data": [nodes per tick]}`; the name `us-east-1a_v100_1.json` says zone and node type.
    - a folder of such files, with `spot_price.json` beside them where prices were recorded: `{"data": {name: [[tick, price], ...]}}`,
      one pair for each change. A tick before the first pair has the price NaN: nobody knows it.
    - CSV with the columns `zone`, `nodes`, and `time` (ISO 8601, UTC where no offset is given, or seconds) or `tick` with `tick_s`;
      `price` and `node_type` where known. Rows of one zone and type are one tick apart; they may stand in any order.
    """
    path = Path(path)
    files = _files(path) if path.is_dir() else [path]
    found = [trace for file in files for trace in _read_file(file)]
    if not found:
        raise SpecError(f"{path}: no trace in it", hint="a folder holds .json or .csv files of traces; see docs/traces.md")
    return tuple(sorted(found, key=lambda trace: (trace.zone, trace.node_type)))


def write_traces(path: Path | str, traces: Iterable[Trace]) -> None:
    """All traces as one CSV file that `read_traces` reads back, replaced in one step."""
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        with open(draft, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for trace in traces:
                writer.writerows(_written(trace))
        os.replace(draft, path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise SpecError(f"{path} cannot be written: {error.strerror}") from error


def _written(trace: Trace) -> Iterator[tuple[str, str, int, str, str]]:
    for tick, nodes in enumerate(trace.nodes.tolist()):
        price = None if trace.price is None else float(trace.price[tick])
        text = "" if price is None or np.isnan(price) else f"{price:.10g}"
        yield (trace.start + timedelta(seconds=tick * trace.tick_s)).isoformat(), trace.zone, nodes, text, trace.node_type


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix in (".json", ".csv") and file.name != PRICES)


def _read_file(file: Path) -> list[Trace]:
    if file.suffix == ".csv":
        return from_csv(file, _bytes(file))
    if file.suffix != ".json":
        raise SpecError(f"{file}: not a trace by its name", hint="traces are .json or .csv files, or a folder of them")
    prices = file.with_name(PRICES)
    return [from_json(file, _bytes(file), prices, price_changes(prices, _bytes(prices)) if prices.exists() else {})]


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SpecError(f"{file}: cannot be read: {error.strerror}") from error
