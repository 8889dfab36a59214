"""Ray Data runs the mill: one fused task for each share of the pieces, and one line of JSON a piece on the way back. An edge."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import ray
import ray.data
from ray.exceptions import RayError

from mlray.errors import ClusterError, MlrayError
from mlray.ingest.mill import CPUS, Work, mill


def cpus() -> float:
    return float(ray.cluster_resources().get("CPU", CPUS))


def run(work: Work) -> Generator[str, None, None]:
    """The lines of all pieces, as they come. Tasks of a lost node are run again by Ray."""
    # A line is handed over at once instead of gathered into larger blocks: that is what the progress of an ingest shows.
    with settings(target_max_block_size=1), told():
        rows = dealt(len(work.deals), work.cpus)
        lines = rows.map_batches(mill, batch_size=None, batch_format="pyarrow", fn_kwargs={"work": work}, num_cpus=CPUS)
        for batch in lines.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            yield from batch["line"].to_pylist()


def dealt(tasks: int, most: float) -> ray.data.Dataset:
    """One row a task, which run on so many CPUs at most."""
    rows = ray.data.range(tasks, override_num_blocks=tasks)
    limits = rows.context.execution_options
    limits.resource_limits = limits.resource_limits.copy(cpu=most)
    return rows


@contextmanager
def settings(**wanted: Any) -> Iterator[None]:
    """Ray Data without bars of its own, and as wanted besides."""
    context = ray.data.DataContext.get_current()
    wanted = {"enable_progress_bars": False, "print_on_execution_start": False, **wanted}
    before = {name: getattr(context, name) for name in wanted}
    try:
        for name, value in wanted.items():
            setattr(context, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)


@contextmanager
def told() -> Iterator[None]:
    """Ray Data's notes stay in its log file; on the terminal, only its errors. What a task raised is told in one sentence."""
    consoles = [handler for handler in logging.getLogger("ray.data").handlers if isinstance(handler, logging.StreamHandler)]
    before = [handler.level for handler in consoles]
    try:
        for handler in consoles:
            handler.setLevel(logging.ERROR)
        yield
    except RayError as error:
        cause = getattr(error, "cause", None) or error
        if isinstance(cause, MlrayError):
            raise type(cause)(cause.message, hint=cause.hint) from None
        # The kind of error alone: its text may quote rows.
        raise ClusterError(
            f"the ingest failed: a task ended with {type(cause).__name__}",
            hint="see Ray's logs for the whole story; run it again, and what was finished is not repeated",
        ) from error
    finally:
        for handler, level in zip(consoles, before, strict=True):
            handler.setLevel(level)
