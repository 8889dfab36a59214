"""Shown: what a run's governor sees of it."""

from __future__ import annotations

from datetime import datetime

from mlray.govern.snapshot import Running, TrialSeen, TrialState
from mlray.tune.search import Search
from mlray.tune.trial import State, Trial
from mlray.tune.value import value_per_dollar
from mlray.units import ZERO, Money


def shown(search: Search, usual: Money | None, now: datetime) -> Running:
    """A search with each trial that is not over. `usual` is what a trial costs for an hour on the node it is expected to get."""
    trials = tuple(_trial(trial, search, usual) for trial in search.running)
    accrued = sum((trial.unbooked(now) for trial in search.running), ZERO)
    return Running(search.cause.run, search.cause, trials, accrued=accrued, market=search.job.trials.market)


def places(search: Search) -> frozenset[str]:
    """The nodes that its trials work on, by the ledger's names."""
    return frozenset(trial.place.machine for trial in search.running if trial.place and trial.place.machine)


def _trial(trial: Trial, search: Search, usual: Money | None) -> TrialSeen:
    state = TrialState.PAUSED if trial.state is State.PAUSED else TrialState.RUNNING
    hourly = trial.place.price.over(3600, trial.place.share) if trial.place else usual
    rivals = tuple(other for other in search.trials if other.id != trial.id)
    since = trial.marked if state is TrialState.PAUSED else None
    return TrialSeen(trial.id, value_per_dollar(trial, rivals), hourly, state, since)
