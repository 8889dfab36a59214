"""Policies: brought into force, approved and ended in a home, each change in the audit record.

An edge: it reads files, the clock and the user's name. What may follow what is `policy.change`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from mlray import files
from mlray.access.audit import Deed
from mlray.access.audit_store import AuditStore
from mlray.clock import Clock, SystemClock
from mlray.home import Home
from mlray.jobs.certificates import caller
from mlray.policy.change import Event, Standing, approve, ask, drop
from mlray.policy.spec import Policy
from mlray.policy.store import PolicyStore

Decide = Callable[[Standing, str, datetime], tuple[Event, ...]]


class Policies:
    """What is done to the policies of one home. Nothing is done by reading a bad file: it is refused before."""

    def __init__(self, home: Home, clock: Clock | None = None, who: str | None = None) -> None:
        self._home, self._clock, self._who = home.prepare(), clock or SystemClock(), who or caller()
        self.store = PolicyStore(home.database)

    def apply(self, file: Path, why: str) -> Standing:
        """The file's policy comes into force, or waits for approval where it must. Raises SpecError for a bad file."""
        policy = files.load(file, Policy)
        return self._change("policy apply", policy.name, lambda now, who, at: ask(now, policy, who, why, at))

    def end(self, name: str, why: str) -> Standing:
        """The policy governs no longer. Work that runs under it keeps the room it has until its own policy says otherwise."""
        return self._change("policy end", name, lambda now, who, at: ask(now, None, who, why, at))

    def approve(self, name: str, why: str) -> Standing:
        return self._change("policy approve", name, lambda now, who, at: approve(now, who, why, at))

    def drop(self, name: str, why: str) -> Standing:
        return self._change("policy drop", name, lambda now, who, at: drop(now, who, why, at))

    def _change(self, did: str, name: str, decide: Decide) -> Standing:
        """The certificate comes after: a kill between the two leaves the change in the policies' own history, which cannot be changed."""
        done: list[Event] = []

        def decided(now: Standing) -> tuple[Event, ...]:
            done[:] = decide(now, self._who, self._clock.now())
            return tuple(done)

        after = self.store.change(name, decided)
        for event in done:
            facts = {"step": str(event.step), "before": event.before, "after": event.after, "why": event.why}
            AuditStore(self._home.database).append(Deed(self._who, did, name, facts), self._clock.now())
        return after
