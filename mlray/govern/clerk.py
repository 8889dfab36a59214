"""Clerk: writes down what is about to be done, does it, and writes down what came of it; goes on with what another left open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from mlray.errors import MlrayError, StoreError
from mlray.govern.actions import Action, HoldJobs, Notify, ResumeTrial, SetAllowance
from mlray.govern.journal import DONE, DROPPED, Intent, Line, Outcome, to_action
from mlray.govern.lookout import Memory, World
from mlray.govern.plan import Plan
from mlray.govern.recheck import same, shown
from mlray.govern.snapshot import Snapshot
from mlray.policy.allowance import Allowance
from mlray.units import Money


class Journal(Protocol):
    """Where the clerk writes."""

    def begin(self, intents: Sequence[Intent]) -> tuple[int, ...]: ...

    def finish(self, outcomes: Mapping[int, Outcome]) -> None: ...

    def open(self) -> tuple[Line, ...]: ...


@dataclass(frozen=True, slots=True)
class Task:
    """An action and its line in the journal; None where the journal could not be written."""

    action: Action
    seq: int | None
    words: str = ""


class Clerk:
    """Carries out plans. `given`, `held` and `told` are what was done so far: the next plan starts from them."""

    def __init__(self, world: World, journal: Journal, tell: Callable[[Notify], None]) -> None:
        self._world, self._journal, self._tell = world, journal, tell
        self.given: dict[str, Allowance] = {}
        self.held: dict[str, str] = {}
        self.told: dict[str, datetime] = {}
        self._left = [Task(to_action(line), line.seq, "after a restart") for line in journal.open()]
        self._late: list[tuple[Intent, Outcome]] = []
        self._unsaid: dict[int, Outcome] = {}

    @property
    def memory(self) -> Memory:
        return Memory(self.given, frozenset(self.held), self.told)

    @property
    def busy(self) -> bool:
        """Whether something was begun and has no outcome, or is not written yet."""
        return bool(self._left or self._late or self._unsaid)

    def carry_out(self, kept: Plan, now: Snapshot, whole: bool) -> None:
        """Does what the plan asks. What was left open and is asked for again is finished; what nobody asks for is dropped, and says so."""
        tasks, left = self._reused(kept.actions), self._left
        self._left = []
        for task in left:
            if not any(same(task.action, asked.action) for asked in tasks if asked.seq == task.seq):
                self._close(task, now, whole)
        fresh = [task.action for task in tasks if task.seq is None]
        numbered = self._begin(fresh, kept, now)
        for task in tasks:
            if task.seq is not None:
                self._do(task, kept, now)
            elif numbered is not None:
                self._do(Task(task.action, numbered[id(task.action)]), kept, now)
            elif _frees(task.action, self.given):
                self._do(task, kept, now)
        self._write()

    def _reused(self, actions: Iterable[Action]) -> list[Task]:
        """Each action with the line that was left open for it, if there is one."""
        left = list(self._left)
        found = []
        for action in actions:
            match = next((task for task in left if same(task.action, action)), None)
            if match is not None:
                left.remove(match)
            found.append(Task(action, match.seq, match.words) if match else Task(action, None))
        return found

    def _close(self, task: Task, now: Snapshot, whole: bool) -> None:
        """People are told even late; of anything else, the world says whether it was done before the governor died."""
        if isinstance(task.action, Notify) and task.action.key not in self.told:
            self._do(task, Plan(now.now, ()), now)
        elif not whole and not isinstance(task.action, (SetAllowance, HoldJobs, Notify)):
            self._left.append(task)
        elif shown(task.action, now):
            self._say(task, Outcome(DONE, "it was done when the governor came back"))
        else:
            self._say(task, Outcome(DROPPED, "it is no longer wanted"))

    def _begin(self, actions: Sequence[Action], kept: Plan, now: Snapshot) -> dict[int, int] | None:
        """None where the journal cannot be written: then only what frees money is done, and written down later."""
        if not actions:
            return {}
        try:
            numbers = self._journal.begin([_intent(action, kept, now) for action in actions])
        except StoreError:
            return None
        return {id(action): seq for action, seq in zip(actions, numbers, strict=True)}

    def _do(self, task: Task, kept: Plan, now: Snapshot) -> None:
        try:
            if isinstance(task.action, Notify):
                self._tell(task.action)
            else:
                self._world.apply(task.action)
        except MlrayError as error:
            self._left.append(replace(task, words=f"after it failed: {error}"))
            if task.words != f"after it failed: {error}":
                self._say(task, Outcome("", f"failed, and is tried again: {error}"))
            return
        self._remember(task.action, now.now)
        if task.seq is None:
            self._late.append((_intent(task.action, kept, now), Outcome(DONE, "written down after it was done")))
        else:
            self._say(task, Outcome(DONE, task.words))

    def _remember(self, action: Action, now: datetime) -> None:
        match action:
            case SetAllowance():
                self.given[action.deployment] = action.allowance
            case HoldJobs(policy=policy, held=True):
                self.held[policy] = action.reason
            case HoldJobs(policy=policy):
                self.held.pop(policy, None)
            case Notify():
                self.told[action.key] = now
            case _:
                pass

    def _say(self, task: Task, outcome: Outcome) -> None:
        if task.seq is not None:
            self._unsaid[task.seq] = outcome

    def _write(self) -> None:
        """What cannot be written now is written at the next look."""
        try:
            if self._late:
                numbers = self._journal.begin([intent for intent, _ in self._late])
                self._unsaid |= {seq: outcome for seq, (_, outcome) in zip(numbers, self._late, strict=True)}
                self._late = []
            if self._unsaid:
                self._journal.finish(self._unsaid)
                self._unsaid = {}
        except StoreError:
            return


def _frees(action: Action, given: Mapping[str, Allowance]) -> bool:
    """Whether the action can only save money."""
    if isinstance(action, SetAllowance):
        before = given.get(action.deployment)
        return before is not None and action.allowance.ceiling <= before.ceiling and action.allowance.floor <= before.floor
    return not isinstance(action, (ResumeTrial, Notify)) and not (isinstance(action, HoldJobs) and not action.held)


def _intent(action: Action, kept: Plan, now: Snapshot) -> Intent:
    policies = {name: now.policies[name].digest for name in _names(action, now) if name in now.policies}
    return Intent(now.now, action, policies, _facts(action, kept))


def _names(action: Action, now: Snapshot) -> tuple[str, ...]:
    """Whoever governs the subject."""
    if isinstance(action, SetAllowance):
        return next((s.policies for s in now.deployments if s.watched.deployment == action.deployment), ())
    run = getattr(action, "run", None)
    return next((r.policies for r in now.runs if r.run == run), (action.policy,)) if run else (action.policy,)


def _facts(action: Action, kept: Plan) -> dict[str, str | float]:
    """The numbers a decision rests on: the policy's money, and what it costs."""
    found, facts = kept.means.get(action.policy), dict[str, str | float]()
    if found is not None:
        facts |= {"amount": str(found.balance.amount), "spent": str(found.balance.spent), "left": str(Money(int(found.left)))}
        facts |= {
            "needed": str(Money(int(found.needed))),
            "burn": f"{Money(int(found.burn))}/h",
            "until": found.balance.window_end.isoformat(),
        }
    if isinstance(action, SetAllowance) and action.deployment in kept.costs:
        cost = kept.costs[action.deployment]
        facts |= {"running": cost.running, "price": f"{cost.hourly}/h" if cost.hourly is not None else "unknown"}
    return facts
