"""Desk: holds the newest Search while Tune runs, and tells what happens. Its caller brings the clock, prices and places."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from mlray.errors import MlrayError
from mlray.progress import OnProgress, Progress
from mlray.tune.judge import overdrawn, unplaced
from mlray.tune.orders import NONE, Orders
from mlray.tune.search import Book, Search
from mlray.tune.searched import INTERRUPTED
from mlray.tune.trial import Place, State, Trial

Oversee = Callable[[Search], Orders]


def ungoverned(search: Search) -> Orders:
    return NONE


class Desk:
    """All methods are called in one thread, the driver's. `place_of` gives the place of a trial on a node, by the node's id;
    `oversee` is shown the search ten times a second and answers with its governor's orders: it must not wait.

    An MlrayError in a hook, such as a ledger that cannot be written, stops the search and is kept in `trouble`: Tune would
    wrap it in a traceback.
    """

    def __init__(
        self,
        search: Search,
        book: Book,
        place_of: Callable[[str], Place],
        now: Callable[[], datetime],
        tell: OnProgress,
        oversee: Oversee = ungoverned,
    ) -> None:
        self.search, self._book, self._place_of, self._now, self._tell = search, book, place_of, now, tell
        self._oversee, self._halted, self._quiet_since = oversee, INTERRUPTED, now()
        self.trouble: MlrayError | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Tune writes its hooks to disk, and this behind them: nothing of it, for purses and databases cannot be written."""
        return {}

    def propose(self) -> Trial | None:
        """The next trial, or None: for now while a trial is held, for good when the search has `ended`."""
        before = len(self.search.trials)
        self.search = self.search.proposed()
        return self.search.trials[-1] if len(self.search.trials) > before else None

    def hear(self, id: str, said: Mapping[str, Any]) -> State:
        """What a worker reported; see `worker.py`. The state its trial is in from now on."""
        try:
            return self._held(id) if self._hear(id, said) else self.search.trial(id).state
        except MlrayError as error:
            self.trouble = self.trouble or error
            return State.STOPPED

    def may_run(self, id: str) -> bool:
        """Whether a trial that Tune has paused may take up a node again."""
        return self.search.trial(id).state is State.WAITING

    def _held(self, id: str) -> State:
        if why := self._oversee(self.search).held(id):
            self.search = self.search.paused(id, why, self._now())
            self._say(id, f"paused: {why}")
            return State.PAUSED
        return State.RUNNING

    def _hear(self, id: str, said: Mapping[str, Any]) -> bool:
        """Whether the trial would go on."""
        now = self._quiet_since = self._now()
        if said["event"] == "began":
            place = replace(self._place_of(said["node"]), machine=said.get("machine", ""))
            self.search = self.search.began(id, place, now)
            return True
        if said["event"] == "failed":
            self.search = self.search.failed(id, said["seconds"], said["why"], now, self._book)
            self._say(id, f"failed: {said['why']}")
            return False
        self.search, decision = self.search.reported(id, said["round"], said.get("auc"), said["seconds"], now, self._book)
        if "auc" in said or not decision.go_on:
            self._say(id, decision.reason)
        return decision.go_on

    def lose(self, id: str, final: bool) -> None:
        if self.search.trial(id).state.over:
            return
        self._quiet_since = self._now()
        try:
            self.search = self.search.lost(id, self._quiet_since, self._book, final)
        except MlrayError as error:
            self.trouble = self.trouble or error
            return
        self._say(id, "lost its worker for the last time" if final else "lost its worker, goes on from its last checkpoint")

    def over(self) -> bool:
        """Whether all trials must stop now. Asked several times a second, so orders are heard here, too."""
        self._obey()
        now, running = self._now(), self.search.running
        why = overdrawn(running, self.search.room(now)) or unplaced(running, self._quiet_since, now)
        why = why or self._oversee(self.search).stop or (self.trouble.message if self.trouble else "")
        if why:
            self.search, self._halted = self.search.ending(why), why
        return bool(why)

    def _obey(self) -> None:
        now = self._now()
        obeyed = self.search.obeyed(self._oversee(self.search), now)
        if obeyed is not self.search:
            self.search, self._quiet_since = obeyed, now

    def close(self) -> None:
        """Nothing runs any more: books what ran until now. Trials that ended without a reason of ours were interrupted."""
        if self.search.running:
            self.search = self.search.stopped(self._halted, self._now(), self._book)

    def _say(self, id: str, what: str) -> None:
        trial, trials = self.search.trial(id), self.search.trials
        at = trial.reports[-1].round if trial.reports else 0
        value = f"auc {trial.auc:.4f}, " if trial.auc is not None else ""
        over = sum(held.state.over for held in trials)
        self._tell(Progress("tune", f"{id}: {value}round {at}/{trial.rounds}, {trial.spent}: {what}", over, self.search.job.trials.most))
