"""resume: the checkpoints there are -> where a trial goes on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mlray.tune.trial import Report, Trial

NAME = re.compile(r"booster-(\d{6})\.sealed")


@dataclass(frozen=True, slots=True)
class Resume:
    """The file to go on from ("" for none), and the rounds in it."""

    file: str
    round: int


def checkpoint_name(round: int) -> str:
    return f"booster-{round:06d}.sealed"


def context(run: str, trial: str, round: int) -> str:
    """What a checkpoint is bound to when it is sealed: one of another trial or round does not open."""
    return f"search/{run}/{trial}/{round}"


def resume(names: Iterable[str]) -> Resume:
    """From the checkpoint with the most rounds. A file that is no checkpoint, such as one half written, is passed over."""
    found = [Resume(name, int(match[1])) for name in names if (match := NAME.fullmatch(name))]
    return max(found, key=lambda held: held.round, default=Resume("", 0))


def held(trial: Trial, names: Iterable[str]) -> Resume:
    """The newest checkpoint among those the trial has reported: one never reported may be half written."""
    last = max((report.round for report in trial.measured), default=0)
    return resume(name for name in names if (match := NAME.fullmatch(name)) and int(match[1]) <= last)


def best_within(trial: Trial, there: Resume) -> Report | None:
    """The trial's best report whose trees the checkpoint holds; a worker lost right after a report takes its trees along."""
    kept = [report for report in trial.measured if report.round <= there.round]
    return max(kept, key=lambda report: (report.auc or 0.0, -report.round), default=None)


@dataclass(frozen=True, slots=True)
class Kept:
    """A trial, its best report, and the checkpoint that holds its trees."""

    trial: Trial
    report: Report
    there: Resume


def best_kept(names: Mapping[str, Iterable[str]], trials: tuple[Trial, ...]) -> Kept | None:
    """The best report of all trials whose trees are in a checkpoint. `names` are a trial's checkpoint files by its id."""
    there = [(trial, held(trial, names.get(trial.id, ()))) for trial in trials]
    kept = [Kept(trial, report, found) for trial, found in there if (report := best_within(trial, found))]
    return min(kept, key=lambda kept: (-(kept.report.auc or 0.0), kept.trial.spent, kept.trial.id), default=None)
