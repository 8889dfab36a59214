"""Searching: one search of a replay: it asks for money, runs its trials on nodes that may be taken away, and pays as it goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from mlray.govern.snapshot import Running, TrialSeen, TrialState
from mlray.ledger.balance import Balance
from mlray.ledger.entry import Entry, Reservation, Return, Usage
from mlray.ledger.meter import charge
from mlray.market.fleet import Slot
from mlray.market.offer import Offer, cheapest
from mlray.policy.admission import Admitted, Ask, admit
from mlray.simulate.machines import Machine, Machines
from mlray.simulate.scenario import Searched, TrialPlan
from mlray.simulate.track import Decision
from mlray.units import ZERO, Money

MICROSECOND = timedelta(microseconds=1)


class Ledger(Protocol):
    """Where a search books what it spends."""

    def append(self, *entries: Entry) -> None: ...


@dataclass(slots=True, eq=False)
class Attempt:
    """A trial on its way: seconds of work done, those up to its last checkpoint, and what it is charged for on the node it has."""

    plan: TrialPlan
    state: str = "waiting"
    since: datetime | None = None
    done_s: float = 0.0
    kept_s: float = 0.0
    machine: Machine | None = None
    billed_s: float = 0.0
    hourly: Money | None = None

    @property
    def at_risk_s(self) -> float:
        return self.done_s - self.kept_s


@dataclass(slots=True)
class Outcome:
    """What became of a search. `lost_s` seconds of work were done in vain, since the last checkpoint before a loss or a pause."""

    run: str
    job: str
    trials: int
    ended: str = "waiting"
    trials_done: int = 0
    limit: Money = ZERO
    spent: Money = ZERO
    work_s: float = 0.0
    lost_s: float = 0.0
    interruptions: int = 0
    pauses: int = 0


class Search:
    """A search under the virtual clock. Admission is `admit`; which trials pause, and whether it is stopped, the governor says."""

    def __init__(self, searched: Searched, machines: Machines, tick_s: float, ledger: Ledger, tell: Callable[[Decision], None]) -> None:
        self.searched, self._machines, self._tick_s = searched, machines, tick_s
        self._ledger, self._tell = ledger, tell
        self.attempts = {trial.id: Attempt(trial) for trial in searched.trials}
        self.outcome = Outcome(searched.run, searched.cause.job, len(searched.trials))
        self._said, self._running = "", None  # type: tuple[str, Running | None]

    @property
    def running(self) -> bool:
        return self.outcome.ended == ""

    def asks(self, seconds: float) -> bool:
        return self.outcome.ended == "waiting" and seconds >= self.searched.after_s

    def ask(self, now: datetime, balance: Balance | None, offers: Sequence[Offer], held: bool) -> None:
        """Asks to start. What it may spend is set aside; a refusal is told when its reason is new, and it asks again."""
        mine = self.searched
        cheap = cheapest(offers, mine.market, mine.cpus)
        price, share = (cheap.price, cheap.share(mine.cpus)) if cheap else (None, 1.0)
        answer = admit(Ask(mine.cause.stage, mine.cause.job, mine.budget, mine.least, price, share), mine.policy, balance)
        if held or not isinstance(answer, Admitted):
            reason = f"{mine.cause.job} waits: policy {mine.policy.name} admits no jobs now" if held else answer.reason
            self._note("Refuse", now, reason, once="held" if held else "refused")
            return
        self.outcome.ended, self.outcome.limit = "", answer.amount
        self._ledger.append(Reservation(f"{mine.run}/reserved", now, answer.amount, mine.cause))
        self._note("Admit", now, answer.reason, once="admitted")

    def run(self, now: datetime) -> None:
        """The tick that ends now: work is done on nodes that were ready, and every node is paid for."""
        for attempt in self.attempts.values():
            if attempt.machine is not None:
                self._pay(attempt, attempt.machine, now)
                self._work(attempt, attempt.machine, now)

    def look(self, lost: Sequence[Machine], now: datetime) -> None:
        """After the market took machines: their trials go back to their last checkpoints."""
        for attempt in self.attempts.values():
            if attempt.machine in lost:
                self.outcome.interruptions += 1
                self._set_back(attempt, "waiting", now)

    def step(self, tick: int, now: datetime, offers: Sequence[Offer]) -> None:
        """Starts the trials there is room for. While one is paused by order, none begins anew."""
        if self.outcome.limit - self.outcome.spent <= self._next():
            self.end(now, f"its {self.outcome.limit} are spent")
        if not self.running:
            return
        busy = [a for a in self.attempts.values() if a.machine is not None]
        paused = any(a.state == "paused" for a in self.attempts.values())
        for attempt in [a for a in self.attempts.values() if a.state == "waiting"][: self.searched.parallel - len(busy)]:
            if not paused or attempt.since is not None:
                self._start(attempt, tick, now, offers)

    def pause(self, trial: str, now: datetime) -> None:
        attempt = self.attempts[trial]
        if attempt.state == "running":
            self.outcome.pauses += 1
            self._release(attempt)
            self._set_back(attempt, "paused", now)

    def resume(self, trial: str, now: datetime) -> None:
        attempt = self.attempts[trial]
        if attempt.state == "paused":
            attempt.state, attempt.since, self._running = "waiting", now, None

    def end(self, now: datetime, why: str) -> None:
        """Ends for good; what it had set aside is given back."""
        if not self.running:
            return
        for attempt in self.attempts.values():
            if attempt.machine is not None:
                self._release(attempt)
                self.outcome.lost_s += attempt.at_risk_s
        self.outcome.ended = why
        self._ledger.append(Return(f"{self.searched.run}/returned", now, f"{self.searched.run}/reserved", self.searched.cause))
        self._note("End", now, why, once="end")

    def seen(self) -> Running:
        """What the governor sees; the same object while nothing changed."""
        if self._running is None:
            shown = [a for a in self.attempts.values() if a.state in ("running", "paused")]
            trials = tuple(TrialSeen(a.plan.id, a.plan.value_per_dollar, a.hourly, TrialState(a.state), a.since) for a in shown)
            self._running = Running(self.searched.run, self.searched.cause, trials, market=self.searched.market)
        return self._running

    def _start(self, attempt: Attempt, tick: int, now: datetime, offers: Sequence[Offer]) -> None:
        """On the cheapest offer that has a node left. Where none has, it tries again in the next tick."""
        left = list(offers)
        while (offer := cheapest(left, self.searched.market, self.searched.cpus)) is not None:
            machine = self._machines.buy(self.searched.run, Slot(offer.zone, offer.capacity), now, tick)
            if machine is not None:
                attempt.machine, attempt.state, attempt.since, attempt.billed_s = machine, "running", now, 0.0
                attempt.hourly, self._running = offer.price.over(3600, offer.share(self.searched.cpus)), None
                return
            left.remove(offer)

    def _pay(self, attempt: Attempt, machine: Machine, now: datetime) -> None:
        offer, share = machine.offer, machine.offer.share(self.searched.cpus)
        state = "running" if machine.ready else "starting"
        usage = Usage(offer.node_type, offer.capacity, self._tick_s, share, machine.id, state)
        cause = replace(self.searched.cause, item=attempt.plan.id)
        key = f"{self.searched.run}/{attempt.plan.id}/{machine.id}/{attempt.billed_s:.0f}"
        booked = charge(key, now - MICROSECOND, usage, offer.price, cause, attempt.billed_s)
        attempt.billed_s += self._tick_s
        self.outcome.spent += booked.amount
        self._ledger.append(booked)

    def _work(self, attempt: Attempt, machine: Machine, now: datetime) -> None:
        if not machine.ready:
            return
        done = min(self._tick_s, attempt.plan.work_s - attempt.done_s)
        attempt.done_s += done
        self.outcome.work_s += done
        attempt.kept_s = attempt.done_s // self.searched.checkpoint_s * self.searched.checkpoint_s
        if attempt.done_s >= attempt.plan.work_s:
            self._release(attempt)
            attempt.state, attempt.kept_s, self._running = "done", attempt.done_s, None
            self.outcome.trials_done += 1
            if all(a.state == "done" for a in self.attempts.values()):
                self.end(now, "all trials are done")

    def _set_back(self, attempt: Attempt, state: str, now: datetime) -> None:
        self.outcome.lost_s += attempt.at_risk_s
        attempt.done_s, attempt.machine = attempt.kept_s, None
        attempt.state, attempt.since, self._running = state, now, None

    def _release(self, attempt: Attempt) -> None:
        if attempt.machine is not None:
            self._machines.stop((attempt.machine,))
            attempt.machine = None

    def _next(self) -> Money:
        """What the tick to come costs, as far as is known: a search ends before it spends what it may not."""
        prices = (
            a.machine.offer.price.over(self._tick_s, a.machine.offer.share(self.searched.cpus)) for a in self.attempts.values() if a.machine
        )
        return sum(prices, ZERO)

    def _note(self, kind: str, now: datetime, reason: str, once: str) -> None:
        if once != self._said:
            self._said = once
            self._tell(Decision(now, kind, self.searched.run, "", self.searched.policy.name, reason))
