"""judge: trial + rivals + what is left -> TrialDecision. Asked at every report and every beat of every trial."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from mlray.tune.spec import Trials
from mlray.tune.trial import State, Trial, TrialDecision
from mlray.units import Money

RIVALS = 4  # as many must have come as far before a trial is measured against them
GRACE = 2  # reports of a trial before it is measured
NODE_WAIT = timedelta(minutes=10)  # a cloud that has capacity starts a node in less


@dataclass(frozen=True, slots=True)
class Room:
    """What is left to spend, charges of running trials not yet counted, and until when."""

    left: Money
    now: datetime
    deadline: datetime | None = None

    @property
    def late(self) -> bool:
        return self.deadline is not None and self.now >= self.deadline


def judge(trial: Trial, rivals: tuple[Trial, ...], room: Room, rules: Trials) -> TrialDecision:
    """Whether the trial trains on. In order: time, money, its end, no more gain, no hope against its rivals."""
    if room.late:
        return TrialDecision(False, "the deadline was reached")
    if trial.reports and trial.reports[-1].round >= trial.rounds:
        return TrialDecision(False, f"all {trial.rounds} rounds are done", done=True)
    due = sum((other.pace for other in rivals if other.state.spends), trial.pace)
    if due > room.left:
        return TrialDecision(False, f"the next reports are expected to cost {due}, and {max(room.left, Money(0))} is left")
    return _by_value(trial, rivals, rules)


def overdrawn(trials: tuple[Trial, ...], room: Room) -> str:
    """Why every trial must stop now, between two reports; "" while there is time and money."""
    if room.late:
        return "the deadline was reached"
    running = sum((trial.unbooked(room.now) for trial in trials), Money(0))
    return f"the budget is spent: {room.left} was left, and {running} had run up" if running >= room.left else ""


def unplaced(trials: tuple[Trial, ...], quiet_since: datetime, now: datetime) -> str:
    """Why a search whose trials all wait for a node gives up; "" while one runs, or the wait is short. Who is paused does not wait."""
    spending = [trial for trial in trials if trial.state.spends]
    waits = bool(spending) and all(trial.state is State.WAITING for trial in spending)
    return f"no node took up a trial for {NODE_WAIT.seconds // 60} minutes" if waits and now - quiet_since >= NODE_WAIT else ""


def _by_value(trial: Trial, rivals: tuple[Trial, ...], rules: Trials) -> TrialDecision:
    measured, best = trial.measured, trial.best
    if not measured or best is None or trial.reports[-1].auc is None:
        return TrialDecision(True, "no new measurement")
    since = sum(report.round > best.round for report in measured)
    if since >= rules.patience:
        return TrialDecision(False, f"no better for {since} reports", done=True)
    bar = _bar(rivals, measured[-1].round)
    if len(measured) >= GRACE and bar is not None and (best.auc or 0.0) < bar:
        return TrialDecision(False, f"auc {best.auc:.4f} is below {bar:.4f}, the median of its rivals after {measured[-1].round} rounds")
    return TrialDecision(True, "gaining")


def _bar(rivals: tuple[Trial, ...], at: int) -> float | None:
    """The median, over rivals that came as far, of their best value by that round (the median stopping rule of Google
    Vizier, KDD 2017, section 3.2.2)."""
    by_then = [
        max(report.auc or 0.0 for report in rival.measured if report.round <= at)
        for rival in rivals
        if rival.measured and rival.measured[-1].round >= at and rival.measured[0].round <= at
    ]
    return median(by_then) if len(by_then) >= RIVALS else None
