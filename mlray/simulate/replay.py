"""Replay: days of governing in seconds. The governor is the live one; its clock, world, ledger and journal are made of memory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import numpy as np

from mlray.clock import VirtualClock
from mlray.errors import SpecError
from mlray.govern.journal import Line
from mlray.govern.loop import Governor
from mlray.govern.memory import MemoryStore
from mlray.govern.need import Words
from mlray.ledger.balance import Balance
from mlray.ledger.entry import Charge, Usage
from mlray.policy.match import Governance, governs_cause
from mlray.policy.schedule import in_force
from mlray.policy.spec import Policy
from mlray.simulate.book import Book
from mlray.simulate.played import Replay
from mlray.simulate.scenario import Scenario
from mlray.simulate.searching import Search
from mlray.simulate.spending import balance_of, windows
from mlray.simulate.supply import supply
from mlray.simulate.till import SimTill
from mlray.simulate.track import Decision
from mlray.simulate.world import SimWorld
from mlray.units import ZERO


def replay(scenario: Scenario) -> Replay:
    """Plays a scenario through. Raises SpecError where no policy governs some of its work, or no trace is of its zones."""
    play = Play(scenario)
    for tick in range(scenario.ticks):
        play.tick(tick)
    return play.end()


class Play:
    """The actors of one replay, tick by tick."""

    def __init__(self, scenario: Scenario) -> None:
        governance = Governance(scenario.policies)
        _governed(scenario, governance)
        self.scenario, self.decisions = scenario, list[Decision]()
        self.book, self.clock, self.journal = Book(), VirtualClock(scenario.start), MemoryStore()
        self._counts = {policy.name: partial(governs_cause, policy) for policy in scenario.policies}
        till = SimTill(self.book, scenario.cluster)
        market = supply(scenario.offers, scenario.traces, scenario.ticks, scenario.tick_s, scenario.start, dict(scenario.most))
        self.world = SimWorld(scenario, market, np.random.default_rng(scenario.seed), self.book, till, self.decisions.append)
        for served in scenario.serving:
            self.journal.watch(served.watched)
        self._spoken = {s.name: Spoken(governance.of_cause(s.watched.cause)) for s in scenario.serving}
        self._begin_spent()
        self.governor = Governor(
            self.world, self.book, self.journal, self.clock, policies=lambda: scenario.policies, till=till, tick_s=scenario.tick_s
        )

    def tick(self, tick: int) -> None:
        """One tick: what ran is paid, the market moves, the governor looks and acts, work goes on."""
        now = self.clock.now()
        self.world.begin(tick, now)
        self.governor.tick()
        self.world.search(self._balance)
        self.world.step({name: spoken.at(now) for name, spoken in self._spoken.items()}, self.governor.allowance)
        self.world.meter()
        self.clock.sleep(self.scenario.tick_s)

    def end(self) -> Replay:
        self.world.begin(self.scenario.ticks, self.clock.now())
        decided = (*map(_decision, self.journal.lines), *self.decisions)
        span = (self.scenario.start, self.clock.now())
        return Replay(
            scenario=self.scenario,
            tracks={name: serving.track for name, serving in self.world.serving.items()},
            searches=tuple(search.outcome for search in self.world.searches.values()),
            decisions=tuple(sorted(decided, key=lambda d: d.at)),
            rates=tuple(self.world.rates),
            booked=self.book.lines(),
            windows=tuple(w for p in self.scenario.policies for w in windows(self.book, p, *span, self._counts[p.name])),
        )

    def _balance(self, search: Search) -> Balance:
        policy = search.searched.policy
        return balance_of(self.book, policy, self.clock.now(), self._counts[policy.name])

    def _begin_spent(self) -> None:
        """What was spent before the replay begins."""
        if self.scenario.spent > ZERO:
            cause = self.scenario.spent_for
            self.book.append(Charge("before", self.scenario.start, self.scenario.spent, cause, Usage("", "", 0.0)))


@dataclass(slots=True)
class Spoken:
    """What the policies of one deployment say, asked again only when a window begins or ends."""

    policies: tuple[Policy, ...]
    words: tuple[Words, ...] = ()
    until: datetime | None = None

    def at(self, now: datetime) -> tuple[Words, ...]:
        if not self.words or (self.until is not None and now >= self.until):
            found = [in_force(policy, now) for policy in self.policies]
            self.words = tuple(Words(f.availability, p.spot) for f, p in zip(found, self.policies, strict=True))
            self.until = min((f.until for f in found if f.until is not None), default=None)
        return self.words


def _governed(scenario: Scenario, governance: Governance) -> None:
    """Every deployment and search stands under a policy that is in force, or nobody decides about it."""
    names = ", ".join(p.name for p in scenario.policies)
    for served in scenario.serving:
        if not governance.of_cause(served.watched.cause):
            raise SpecError(f"policy {names} governs no deployment {served.name}", hint="name it under governs.deployments")
    for searched in scenario.searching:
        if not governance.of_cause(searched.cause):
            raise SpecError(f"policy {names} governs no job {searched.cause.job}", hint="name it under governs.jobs")
    if not scenario.serving and not scenario.searching:
        raise SpecError(f"policy {names} governs nothing that is replayed", hint="name a deployment under governs.deployments")


def _decision(line: Line) -> Decision:
    numbers = json.loads(line.numbers)
    bound = numbers["allowance"]["bound"] if line.action == "SetAllowance" else numbers.get("bound", "")
    return Decision(line.at, line.action, line.subject, bound, line.policy, line.reason)
