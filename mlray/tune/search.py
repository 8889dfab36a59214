"""Search: all trials and what is left to spend. Each event gives a new Search, and a charge where time was used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from mlray.ledger.entry import Cause, Charge
from mlray.ledger.meter import charge
from mlray.tune.judge import Room, judge
from mlray.tune.orders import Orders
from mlray.tune.propose import Exhausted, propose
from mlray.tune.spec import TuneJob
from mlray.tune.trial import Place, Report, State, Trial, TrialDecision
from mlray.units import ZERO, Money

Book = Callable[[Charge], Money]


@dataclass(frozen=True, slots=True)
class Search:
    """`left` is what may still be spent, below zero once overspent; `ended` says why no more trials begin."""

    job: TuneJob
    cause: Cause
    limit: Money
    left: Money
    deadline: datetime | None = None
    trials: tuple[Trial, ...] = ()
    ended: str = ""

    @property
    def spent(self) -> Money:
        return sum((trial.spent for trial in self.trials), ZERO)

    @property
    def overspend(self) -> Money:
        return max(ZERO, self.spent - self.limit)

    @property
    def running(self) -> tuple[Trial, ...]:
        return tuple(trial for trial in self.trials if not trial.state.over)

    def trial(self, id: str) -> Trial:
        return next(trial for trial in self.trials if trial.id == id)

    def room(self, now: datetime) -> Room:
        return Room(self.left, now, self.deadline)

    def proposed(self) -> Search:
        """With one more trial, or ended; as it is while a trial is paused.

        The proposal depends on the job's seed, its number, and the trials so far.
        """
        if self.ended or self.held:
            return self
        if len(self.trials) >= self.job.trials.most:
            return self.ending(f"all {self.job.trials.most} trials were tried")
        found = propose(self.job.space, self.trials, self.left, np.random.Generator(np.random.PCG64([self.job.seed, len(self.trials)])))
        if isinstance(found, Exhausted):
            return self.ending(found.reason)
        return replace(self, trials=(*self.trials, Trial(f"t{len(self.trials) + 1:03d}", found)))

    def began(self, id: str, place: Place, now: datetime) -> Search:
        """A worker took the trial up, anew, after a loss, or once more without anybody having told of the loss.

        The slices of an attempt are counted on: a worker that begins twice must not write two charges under one key.
        """
        return self._with(replace(self.trial(id), state=State.RUNNING, place=place, booked=0.0, marked=now))

    def reported(self, id: str, round: int, auc: float | None, seconds: float, now: datetime, book: Book) -> tuple[Search, TrialDecision]:
        """Books the seconds the worker measured, then judges the trial."""
        search, cost = self._booked(id, seconds, now, book)
        trial = search.trial(id)
        trial = replace(trial, reports=(*trial.reports, Report(round, auc, cost)))
        rivals = tuple(other for other in search.trials if other.id != id)
        decision = judge(trial, rivals, search.room(now), self.job.trials)
        ended = trial if decision.go_on else trial.ended(decision.state, decision.reason)
        return search._with(ended), decision

    def lost(self, id: str, now: datetime, book: Book, final: bool) -> Search:
        """The worker is gone. Its node was paid until now, at most; what it did since its last report is charged as lost."""
        search, _ = self._tail(id, now, book, waste="lost")
        trial = replace(search.trial(id), losses=self.trial(id).losses + 1, slices=0, place=None, marked=None, state=State.WAITING)
        reason = f"lost its worker {trial.losses} times"
        return search._with(trial.ended(State.FAILED, reason) if final else trial)

    def failed(self, id: str, seconds: float, why: str, now: datetime, book: Book) -> Search:
        """The training itself raised: it would again, so it is not repeated."""
        search, _ = self._booked(id, seconds, now, book)
        return search._with(search.trial(id).ended(State.FAILED, why))

    def stopped(self, reason: str, now: datetime, book: Book) -> Search:
        """Every trial that still ran was stopped between two reports; that is then why the search ended."""
        search = replace(self, ended=reason)
        for trial in self.running:
            search, _ = search._tail(trial.id, now, book)
            search = search._with(search.trial(trial.id).ended(State.STOPPED, reason))
        return search

    def paused(self, id: str, reason: str, now: datetime) -> Search:
        """After its report was booked: the trial gives up its place and keeps its last checkpoint."""
        return self._with(self.trial(id).paused(reason, now))

    def obeyed(self, orders: Orders, now: datetime) -> Search:
        """Trials that wait and are held wait no longer for a node; those that were held and are not wait for one again.

        One that runs is paused at its next report instead, when its seconds are known.
        """
        search = self
        for trial in self.running:
            why = orders.held(trial.id)
            if trial.state is State.WAITING and why:
                search = search.paused(trial.id, why, now)
            elif trial.state is State.PAUSED and not why:
                search = search._with(trial.resumed())
        return search

    @property
    def held(self) -> bool:
        """Whether a trial is paused. Nothing new begins then: what began is worth more than what is unknown."""
        return any(trial.state is State.PAUSED for trial in self.trials)

    @property
    def rests(self) -> bool:
        """Whether all of its trials that are not over are paused, so that it needs no node."""
        return self.held and not any(trial.state.spends for trial in self.trials)

    def ending(self, reason: str) -> Search:
        """The first reason stands."""
        return self if self.ended else replace(self, ended=reason)

    def _tail(self, id: str, now: datetime, book: Book, waste: str = "") -> tuple[Search, Money]:
        """Books from the last charge until now, by the driver's clock."""
        marked = self.trial(id).marked
        return (self, ZERO) if marked is None else self._booked(id, max(0.0, (now - marked).total_seconds()), now, book, waste)

    def _booked(self, id: str, seconds: float, now: datetime, book: Book, waste: str = "") -> tuple[Search, Money]:
        trial, place = self.trial(id), self.trial(id).place
        if place is None:
            return self, ZERO
        key = f"{self.cause.run}/{id}/{trial.losses}/{trial.slices}"
        cause = replace(self.cause, item=id)
        due = charge(key, now, place.usage(seconds), place.price, cause, trial.booked, place.on_demand, waste)
        booked = replace(trial, spent=trial.spent + due.amount, booked=trial.booked + seconds, marked=now, slices=trial.slices + 1)
        search = self._with(booked)
        return replace(search, left=min(book(due), self.limit - search.spent)), due.amount

    def _with(self, trial: Trial) -> Search:
        """The trial in its place; a trial that is over stays as it ended."""
        return replace(self, trials=tuple(trial if held.id == trial.id else held for held in self.trials))
