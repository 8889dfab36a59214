"""Plan: a Snapshot -> ordered actions, each with its reason. What is given up first when the money is short is ORDER."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mlray.govern import clusters
from mlray.govern.actions import Action, Drain, HoldJobs, Notify, PauseTrial, ResumeTrial, SetAllowance, StopCluster, StopRun
from mlray.govern.means import Means, means
from mlray.govern.notices import notices
from mlray.govern.rooms import floor_rates, rooms
from mlray.govern.snapshot import Seen, Snapshot, TrialState
from mlray.govern.tally import Cost, Tally, tally
from mlray.govern.trials import Sacrifice, give_up, go_on, idle
from mlray.policy.allowance import Allowance, Bound


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, first things first. An empty plan changes nothing. `means` and `costs` are what it rests on."""

    at: datetime
    actions: tuple[Action, ...]
    means: Mapping[str, Means] = field(default_factory=dict)
    costs: Mapping[str, Cost] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decided:
    """All that was decided about one snapshot, before it is put in order. `waiting` are policies some of whose trials stay paused."""

    snapshot: Snapshot
    tally: Tally
    means: Mapping[str, Means]
    given_up: Sacrifice
    resumed: tuple[ResumeTrial, ...]
    allowances: Mapping[str, Allowance]
    floors: Mapping[str, float]
    changed: tuple[tuple[Seen, Allowance], ...]
    waiting: frozenset[str]
    digests: dict[str, str] = field(default_factory=dict)

    def changes(self, wanted: Callable[[Allowance | None, Allowance], bool]) -> tuple[SetAllowance, ...]:
        """The new allowances of a kind."""
        return tuple(
            SetAllowance(
                seen.watched.deployment, wording(self.snapshot, seen, self.digests), after, after.policy or next(iter(seen.policies), "")
            )
            for seen, after in self.changed
            if wanted(seen.allowance, after)
        )


def stop_admitting_jobs(decided: Decided) -> tuple[HoldJobs, ...]:
    return tuple(
        HoldJobs(name, True, reason)
        for name in decided.snapshot.policies
        if name not in decided.snapshot.held and (reason := _keeps_jobs_out(decided, name))
    )


def stop_growth(decided: Decided) -> tuple[SetAllowance, ...]:
    return decided.changes(lambda before, after: before is not None and after.bound == Bound.UNKNOWN)


def pause_trials(decided: Decided) -> tuple[PauseTrial, ...]:
    return decided.given_up.pauses


def end_runs(decided: Decided) -> tuple[StopRun, ...]:
    return decided.given_up.stops


def move_to_cheaper_offers(decided: Decided) -> tuple[Drain, ...]:
    return clusters.drains(decided.snapshot, decided.means)


def lower_ceilings(decided: Decided) -> tuple[SetAllowance, ...]:
    return decided.changes(lambda before, after: _frees(before, after) and before is not None and after.floor >= before.floor)


def give_up_floors(decided: Decided) -> tuple[SetAllowance, ...]:
    return decided.changes(lambda before, after: _frees(before, after) and before is not None and after.floor < before.floor)


def stop_clusters(decided: Decided) -> tuple[StopCluster, ...]:
    return clusters.stops(decided.snapshot, decided.means, decided.allowances)


def give_room(decided: Decided) -> tuple[SetAllowance, ...]:
    return decided.changes(lambda before, after: before is None or not (_frees(before, after) or after.bound == Bound.UNKNOWN))


def resume_trials(decided: Decided) -> tuple[ResumeTrial, ...]:
    return decided.resumed


def admit_jobs(decided: Decided) -> tuple[HoldJobs, ...]:
    return tuple(HoldJobs(name, False, reason) for name in sorted(decided.snapshot.held) if (reason := _lets_jobs_in(decided, name)))


# The order of sacrifice: when the money is short, this is given up first, then that. Floors go only where the owner wrote
# `when_short: stop`, and a whole cluster only when nothing is left on it.
ORDER: tuple[Callable[[Decided], tuple[Action, ...]], ...] = (
    stop_admitting_jobs,
    stop_growth,
    pause_trials,
    end_runs,
    move_to_cheaper_offers,
    lower_ceilings,
    give_up_floors,
    stop_clusters,
)
# What comes back when the money does, the last that was given up first. Nothing grows before what frees money is done.
GROWTH: tuple[Callable[[Decided], tuple[Action, ...]], ...] = (give_room, resume_trials, admit_jobs)


def plan(snapshot: Snapshot) -> Plan:
    """What is to be done now. Nothing changes while the numbers do not, and people are told once."""
    decided = _decide(snapshot)
    done = tuple(action for step in (*ORDER, *GROWTH) for action in step(decided))
    told: tuple[Notify, ...] = notices(snapshot, decided.tally, decided.means, decided.allowances)
    return Plan(snapshot.now, (*done, *told), decided.means, decided.tally.serving)


def wording(snapshot: Snapshot, seen: Seen, known: dict[str, str]) -> str:
    """The digest of the policy that governs a deployment; of several, that of all their digests. `known` keeps those taken so far."""
    for name in seen.policies:
        if name not in known and name in snapshot.policies:
            known[name] = snapshot.policies[name].digest
    digests = [known[name] for name in seen.policies if name in known]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _decide(snapshot: Snapshot) -> Decided:
    counted = tally(snapshot)
    known = means(snapshot, counted)
    given_up = give_up(snapshot, known)
    paused = given_up.paused
    allowances = rooms(snapshot, counted, known, frozenset(r.run for r in snapshot.runs if idle(r, paused)))
    floors = floor_rates(snapshot, counted, allowances)
    resumed = go_on(snapshot, known, floors, paused)
    if resumed:  # what the runs hold is theirs again, so nobody is given it meanwhile
        allowances = rooms(snapshot, counted, known, frozenset(r.run for r in snapshot.runs if idle(r, paused, resumed)))
    seen = [(one, allowances[one.watched.deployment]) for one in snapshot.deployments]
    changed = tuple((one, after) for one, after in seen if _differs(one.allowance, after))
    return Decided(snapshot, counted, known, given_up, resumed, allowances, floors, changed, _waiting(snapshot, resumed))


def _keeps_jobs_out(decided: Decided, name: str) -> str:
    """Why a policy admits no jobs now; "" where it does."""
    found = decided.means.get(name)
    if not decided.snapshot.readable:
        return f"the policies in force cannot be read: policy {name} admits no jobs"
    if found is None:
        return f"the balance of policy {name} cannot be read: it admits no jobs"
    if name in decided.tally.unpriced:
        return f"work under policy {name} has no known price: it admits no jobs"
    return f"{found.sentence}: it admits no jobs" if found.short or name in decided.waiting else ""


def _lets_jobs_in(decided: Decided, name: str) -> str:
    """Why a policy admits jobs again; "" where it does not. The last thing to come back, after every paused trial."""
    if decided.snapshot.readable and name not in decided.snapshot.policies:
        return f"policy {name} is no longer in force"
    if _keeps_jobs_out(decided, name):
        return ""
    found = decided.means[name]
    needed = decided.floors.get(name, 0.0) * found.hours + sum(found.ahead.values())
    return f"{found.sentence}: it admits jobs again" if found.pays(needed, found.burn) else ""


def _waiting(snapshot: Snapshot, resumed: tuple[ResumeTrial, ...]) -> frozenset[str]:
    """Policies some of whose trials stay paused."""
    back = {(one.run, one.trial) for one in resumed}
    stay = (r for r in snapshot.runs if any(t.state == TrialState.PAUSED and (r.run, t.id) not in back for t in r.trials))
    return frozenset(name for run in stay for name in run.policies)


def _frees(before: Allowance | None, after: Allowance) -> bool:
    return before is not None and after.bound != Bound.UNKNOWN and (after.ceiling < before.ceiling or after.floor < before.floor)


def _differs(before: Allowance | None, after: Allowance) -> bool:
    return before is not after and (before is None or _numbers(before) != _numbers(after))


def _numbers(room: Allowance) -> tuple[int, int, float, int, Bound]:
    return room.floor, room.ceiling, room.spot_share, room.on_demand, room.bound
