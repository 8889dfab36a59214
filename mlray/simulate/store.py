"""Recorded loads on disk: CSV with a time and the requests a second."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import NoReturn

import numpy as np

from mlray.errors import Mistake, SpecError
from mlray.simulate.load import Load

# Steps differ by up to this share of one: clocks of recorders wander.
SLACK = 0.01


def read_load(path: Path | str) -> Load:
    """The load in a CSV file with the columns `rps` (requests a second) and `time` (ISO 8601, or seconds), or `tick` and `tick_s`.

    Rows are one step apart and in order. The replay begins with the first one, whatever its time. Raises SpecError with file, line and
    column.
    """
    path = Path(path)
    try:
        rows = csv.DictReader(path.read_text("utf-8-sig").splitlines())
        rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
        return _load(path, rows, tuple(rows.fieldnames))
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}", hint="a load is a CSV file, or one of the shapes") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise SpecError(f"{path}: not CSV in UTF-8: {error}") from error


def _load(path: Path, rows: csv.DictReader[str], columns: tuple[str, ...]) -> Load:
    wanted = ("rps", "time") if "time" in columns else ("rps", "tick", "tick_s")
    if missing := [name for name in wanted if name not in columns]:
        _refuse(path, 1, ", ".join(missing), "", "the columns rps and time, or rps, tick and tick_s, are wanted")
    at: list[float] = []
    rates: list[float] = []
    for row in rows:
        line = rows.line_num
        at.append(_moment(path, line, row["time"]) if "time" in columns else _tick(path, line, row))
        rates.append(_number(path, line, "rps", row["rps"]))
        step = at[1] - at[0] if len(at) > 1 else 0.0
        if len(at) > 1 and (step <= 0 or abs(at[-1] - at[-2] - step) > SLACK * step):
            _refuse(path, line, wanted[1], "", f"{at[-1] - at[-2]:g} s after the row before, where {step:g} s is the first step")
    if len(at) < 2:
        _refuse(path, 0, "", "", "two rows or more are wanted")
    return Load(np.array(rates), (at[-1] - at[0]) / (len(at) - 1), path.name)


def _tick(path: Path, line: int, row: dict[str, str]) -> float:
    seconds = _number(path, line, "tick_s", row["tick_s"])
    if not seconds:
        _refuse(path, line, "tick_s", "0", "a tick is longer than 0 s")
    return _number(path, line, "tick", row["tick"]) * seconds


def _moment(path: Path, line: int, text: str | None) -> float:
    text = (text or "").strip()
    try:
        return float(text)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        _refuse(path, line, "time", repr(text), "write a time like 2026-01-31T06:00:00Z, or seconds", error)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _number(path: Path, line: int, column: str, text: str | None) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = float("nan")
    if not (isfinite(number) and number >= 0):
        _refuse(path, line, column, repr((text or "").strip()), "a number is wanted, 0 or more")
    return number


def _refuse(path: Path, line: int, column: str, value: str, fix: str, why: BaseException | None = None) -> NoReturn:
    raise SpecError.listing((Mistake(str(path), line, column, value, fix),)) from why
