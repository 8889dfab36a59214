"""Trials: which of them pause when the money is short, which go on when it is back, and which runs end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from mlray.govern.actions import PauseTrial, ResumeTrial, StopRun
from mlray.govern.means import Means, ahead
from mlray.govern.snapshot import Running, Snapshot, TrialSeen, TrialState
from mlray.govern.tally import trials_burn
from mlray.units import Money

# A trial that was paused loses what it computed since its last checkpoint: it stays paused at least this long.
DWELL = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Sacrifice:
    """What runs give up: trials pause, least value per dollar first and only as many as needed; runs end."""

    pauses: tuple[PauseTrial, ...] = ()
    stops: tuple[StopRun, ...] = ()

    @property
    def paused(self) -> Mapping[str, frozenset[str]]:
        """By run."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for one in self.pauses:
            found[one.run].add(one.trial)
        return {run: frozenset(trials) for run, trials in found.items()}


NOTHING = Sacrifice()


def give_up(snapshot: Snapshot, known: Mapping[str, Means]) -> Sacrifice:
    """Policy by policy in the order of their names; a trial that paused for one frees money of all that govern it.

    Trials pause so that promised replicas are paid, or when the money is gone; in its grace everything goes on.
    """
    if not snapshot.runs:
        return NOTHING
    pauses: dict[tuple[str, str], PauseTrial] = {}
    stops: dict[str, StopRun] = {}
    governed: defaultdict[str, list[Running]] = defaultdict(list)
    for run in snapshot.runs:
        for name in run.policies:
            governed[name].append(run)
    for name in sorted(governed):
        found = known.get(name)
        if found is not None and found.short and (found.acting or not found.gone):
            _stop(found, governed[name], stops)
            _pause(found, [run for run in governed[name] if run.run not in stops], pauses)
    return Sacrifice(tuple(pauses.values()), tuple(stops.values()))


def go_on(
    snapshot: Snapshot, known: Mapping[str, Means], floors: Mapping[str, float], paused: Mapping[str, frozenset[str]]
) -> tuple[ResumeTrial, ...]:
    """Trials that all their policies can pay again, most value per dollar first. `floors` is what promised replicas cost from now on."""
    if not snapshot.runs:
        return ()
    waiting = [(t, run) for run in snapshot.runs if run.run not in paused for t in run.trials if _may_go_on(t, snapshot)]
    grown = _Grown(known, floors)
    ordered = sorted(waiting, key=lambda pair: (-pair[0].value_per_dollar, pair[1].run, pair[0].id))
    return tuple(
        ResumeTrial(run.run, trial.id, run.policies[0], _returns(trial, known[run.policies[0]]))
        for trial, run in ordered
        if snapshot.readable and grown.take(run, float(trial.hourly.micros if trial.hourly else 0))
    )


def idle(run: Running, paused: Mapping[str, frozenset[str]], resumed: Iterable[ResumeTrial] = ()) -> bool:
    """Whether every trial of a search is paused: what it holds is free for others until one goes on."""
    if not run.trials or any(one.run == run.run for one in resumed):
        return False
    mine = paused.get(run.run, frozenset())
    return all(t.state == TrialState.PAUSED or t.id in mine for t in run.trials)


def _stop(found: Means, runs: list[Running], stops: dict[str, StopRun]) -> None:
    """Once the money is gone: what cannot pause, and searches whose own reservation does not pay until the next look."""
    for run in runs:
        spent_up = run.reserved is not None and run.reserved.micros <= trials_burn(run) * found.tick_h
        if found.acting and (not run.trials or spent_up):
            why = "its own reservation is used up" if run.trials else "it cannot pause"
            stops.setdefault(run.run, StopRun(run.run, found.policy.name, f"{found.sentence}: {why}, so {run.run} ends"))


def _pause(found: Means, runs: list[Running], pauses: dict[tuple[str, str], PauseTrial]) -> None:
    halted = {run.run: {t.id for t in run.trials if (run.run, t.id) in pauses} for run in runs}
    cost = {run.run: ahead(run, trials_burn(run, frozenset(halted[run.run])), found.hours) for run in runs}
    rates = {run.run: trials_burn(run, frozenset(halted[run.run])) for run in runs}
    others = found.burn - sum(trials_burn(run) for run in runs)
    for trial, run in _least_first(runs, halted):
        short = found.floors > 0 and found.floors + sum(cost.values()) > found.left
        over = (found.acting or found.fast) and (others + sum(rates.values())) * found.tick_h >= found.at_once
        if not short and not over:
            return
        pauses[run.run, trial.id] = PauseTrial(run.run, trial.id, found.policy.name, _gives_way(trial, found))
        halted[run.run].add(trial.id)
        rates[run.run] = trials_burn(run, frozenset(halted[run.run]))
        cost[run.run] = ahead(run, rates[run.run], found.hours)


def _least_first(runs: list[Running], halted: Mapping[str, set[str]]) -> Iterator[tuple[TrialSeen, Running]]:
    going = [(t, run) for run in runs for t in run.trials if t.state == TrialState.RUNNING and t.id not in halted[run.run]]
    return iter(sorted(going, key=lambda pair: (pair[0].value_per_dollar, pair[1].run, pair[0].id)))


def _may_go_on(trial: TrialSeen, snapshot: Snapshot) -> bool:
    rested = trial.since is None or snapshot.now - trial.since >= DWELL
    return trial.state == TrialState.PAUSED and trial.hourly is not None and rested


class _Grown:
    """What trials that go on add to the needs of their policies, one after the other."""

    def __init__(self, known: Mapping[str, Means], floors: Mapping[str, float]) -> None:
        self._known, self._floors = known, floors
        self._back: defaultdict[str, float] = defaultdict(float)
        self._burn: defaultdict[str, float] = defaultdict(float)
        self._needs: defaultdict[str, float] = defaultdict(float)

    def take(self, run: Running, rate: float) -> bool:
        """Whether every policy of the run pays one more trial; if so, it counts from now on."""
        found = [self._known.get(name) for name in run.policies]
        if not found or not all(m is not None and self._pays(m, run, rate) for m in found):
            return False
        for m in found:
            if m is not None:
                self._needs[m.policy.name] += self._more(m, run, rate)
                self._burn[m.policy.name] += rate
        self._back[run.run] += rate
        return True

    def _pays(self, m: Means, run: Running, rate: float) -> bool:
        name = m.policy.name
        needed = self._floors.get(name, 0.0) * m.hours + sum(m.ahead.values()) + self._needs[name] + self._more(m, run, rate)
        return not m.gone and not m.fast and m.pays(needed, m.burn + self._burn[name] + rate)

    def _more(self, m: Means, run: Running, rate: float) -> float:
        before = trials_burn(run) + self._back[run.run]
        return ahead(run, before + rate, m.hours) - ahead(run, before, m.hours)


def _gives_way(trial: TrialSeen, found: Means) -> str:
    cost = "an unknown sum" if trial.hourly is None else str(trial.hourly)
    return f"{found.sentence}: trial {trial.id} pauses, worth {trial.value_per_dollar:.3g} per dollar, the least, at {cost} an hour"


def _returns(trial: TrialSeen, found: Means) -> str:
    cost = trial.hourly or Money(0)
    return f"{found.sentence}: trial {trial.id} goes on, worth {trial.value_per_dollar:.3g} per dollar, the most, at {cost} an hour"
