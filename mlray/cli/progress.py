"""Progress on stderr: a live line per stage in a terminal, a line per message anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TextIO

from mlray.progress import OnProgress, Progress

# In a log, counted progress of one stage is told no more often than this.
QUIET_S = 5.0


@contextmanager
def working() -> Iterator[OnProgress]:
    """Shows progress while work runs. What Ray and others print meanwhile goes to stderr: stdout is the result's alone."""
    with redirect_stdout(sys.stderr):
        if sys.stderr.isatty():
            with _live() as listener:
                yield listener
        else:
            yield Lines(sys.stderr)


class Lines:
    """Tells every new message of a stage, and repeated counts of the same message at most every QUIET_S seconds."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._last: dict[str, tuple[str, float]] = {}

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        message, told = self._last.get(progress.stage, ("", 0.0))
        if progress.message == message and now - told < QUIET_S and progress.done != progress.total:
            return
        self._last[progress.stage] = (progress.message, now)
        print(f"{progress.stage}: {progress.message}{_count(progress)}", file=self._out, flush=True)


@contextmanager
def _live() -> Iterator[OnProgress]:
    from rich.console import Console  # a tenth of a second that a pipe need not pay
    from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        SpinnerColumn(),
        TextColumn("[bold]{task.fields[stage]}", markup=True),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    stages: dict[str, TaskID] = {}

    def listen(progress: Progress) -> None:
        if progress.stage not in stages:
            for earlier in stages.values():
                bars.update(earlier, total=1, completed=1)
            stages[progress.stage] = bars.add_task("", total=None, stage=progress.stage)
        bars.update(stages[progress.stage], description=progress.message + _count(progress), completed=progress.done, total=progress.total)

    with bars:
        yield listen


def _count(progress: Progress) -> str:
    if progress.done is None:
        return ""
    return f" ({progress.done:g} of {progress.total:g})" if progress.total is not None else f" ({progress.done:g})"
