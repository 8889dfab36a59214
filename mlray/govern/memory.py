"""MemoryStore: the governor's records without a database: for replays, which are never continued, and for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from mlray.govern.journal import DONE, Intent, Line, Outcome, allowance_of
from mlray.govern.snapshot import Watched
from mlray.policy.allowance import Allowance


class MemoryStore:
    """Says what GovernStore says, and forgets it all with its process."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._watched: dict[str, Watched] = {}
        self._sorted: tuple[Watched, ...] = ()

    def remember(self, texts: Mapping[str, str]) -> None:
        """A replay is never continued."""

    def remembered(self) -> dict[str, str]:
        return {}

    def watch(self, watched: Watched) -> None:
        self._watched[watched.deployment] = watched
        self._sorted = tuple(self._watched[name] for name in sorted(self._watched))

    def forget(self, deployment: str) -> None:
        self._watched.pop(deployment, None)
        self._sorted = tuple(self._watched[name] for name in sorted(self._watched))

    def watched(self) -> tuple[Watched, ...]:
        return self._sorted

    def begin(self, intents: Sequence[Intent]) -> tuple[int, ...]:
        first = len(self.lines) + 1
        self.lines += [_line(first + i, one) for i, one in enumerate(intents)]
        return tuple(range(first, first + len(intents)))

    def finish(self, outcomes: Mapping[int, Outcome]) -> None:
        for seq, outcome in outcomes.items():
            if not self.lines[seq - 1].state:
                self.lines[seq - 1] = replace(self.lines[seq - 1], state=outcome.state, outcome=outcome.words)

    def open(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if not line.state)

    def journal(self, subject: str = "", last: int = 50) -> tuple[Line, ...]:
        return tuple([line for line in self.lines if subject in ("", line.subject)][-last:])

    def given(self, deployment: str) -> Allowance | None:
        return self.rooms().get(deployment)

    def rooms(self) -> dict[str, Allowance]:
        return {line.subject: room for line in self._done("SetAllowance") if (room := allowance_of(line)) is not None}

    def held(self) -> dict[str, str]:
        newest = {line.policy: line for line in self._done("HoldJobs")}
        return {name: line.reason for name, line in newest.items() if json.loads(line.numbers)["held"]}

    def told(self, since: datetime) -> dict[str, datetime]:
        return {str(json.loads(line.numbers)["key"]): line.at for line in self._done("Notify") if line.at >= since}

    def prune(self, before: datetime) -> int:
        """Nothing: a replay is read as a whole."""
        return 0

    def _done(self, action: str) -> list[Line]:
        return [line for line in self.lines if line.action == action and line.state == DONE]


def _line(seq: int, intent: Intent) -> Line:
    texts = (json.dumps(dict(intent.policies)), json.dumps(intent.numbers), json.dumps(dict(intent.facts)))
    return Line(
        seq, intent.at, intent.action.subject, type(intent.action).__name__, intent.action.policy, *texts, intent.action.reason, "", ""
    )
