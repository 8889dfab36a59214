"""Begun: work that was admitted, with its purse, under government until it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mlray.govern.snapshot import Running
from mlray.ingest.spec import IngestJob
from mlray.jobs.desk import Desk
from mlray.jobs.overseen import Overseen
from mlray.jobs.purse import Purse
from mlray.jobs.shown import places, shown
from mlray.policy.admission import Ask
from mlray.policy.bounds import CLASSES
from mlray.progress import OnProgress, Progress
from mlray.tune.desk import Oversee
from mlray.tune.orders import Orders
from mlray.tune.search import Search
from mlray.tune.spec import TuneJob
from mlray.units import Money


@contextmanager
def ingesting(at: Desk[IngestJob], cpus: float, on_progress: OnProgress) -> Iterator[tuple[Purse, Overseen]]:
    """One block at a time, as admitted. Raises RefusedError when a policy does not admit it."""
    tell(at.cause.stage, at.notes, on_progress)
    ask = at.ask("any", cpus, classes=tuple(sorted(set(at.job.classes.values()))))
    running = Running(at.cause.run, at.cause, hourly=_hourly(ask))
    with at.purse(ask) as money, at.overseen(lambda: (running, frozenset())) as seen:
        yield money, seen


@contextmanager
def searching(at: Desk[TuneJob], on_progress: OnProgress) -> Iterator[tuple[Purse, Oversee]]:
    """A search may begin with the money for one trial. Raises RefusedError when a policy does not admit it."""
    tell(at.cause.stage, at.notes, on_progress)
    trials, newest = at.job.trials, list[Search]()
    ask = at.ask(trials.market, trials.cpus, most=trials.parallel, classes=_classes(at))
    usual = _hourly(ask)

    def running() -> tuple[Running, frozenset[str]]:
        if not newest:
            return Running(at.cause.run, at.cause, market=trials.market), frozenset()
        return shown(newest[0], usual, at.clock.now()), places(newest[0])

    with at.purse(ask) as money, at.overseen(running) as seen:

        def oversee(search: Search) -> Orders:
            newest[:] = [search]
            return seen.orders

        yield money, oversee


def _classes(at: Desk[TuneJob]) -> tuple[str, ...]:
    """Of columns that are encrypted apart, as the keys of the version's files say; those of the others are not recorded."""
    version = at.vault.open().find_dataset(at.job.dataset, at.job.version)
    return tuple(sorted({scope for part in version.manifest.parts for scope, _ in part.keys} & set(CLASSES)))


def tell(stage: str, notes: tuple[str, ...], on_progress: OnProgress) -> None:
    """What people should know of the policies that govern their work."""
    for note in notes:
        on_progress(Progress(stage, note))


def _hourly(ask: Ask) -> Money | None:
    """Of its smallest step: one trial, one block."""
    return None if ask.price is None else ask.price.over(3600, ask.share)
