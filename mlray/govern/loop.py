"""Loop: observe -> meter -> plan -> recheck -> apply -> record, over any world that can show its replicas, runs and nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Protocol

from mlray.clock import Clock
from mlray.govern.actions import Notify
from mlray.govern.clerk import Clerk, Journal
from mlray.govern.counter import Counter
from mlray.govern.lookout import Ledger, Look, Rules, World, cluster_causes, look, otherwise, snapshot
from mlray.govern.nodes import NodeBooking
from mlray.govern.plan import Plan, plan
from mlray.govern.recheck import recheck, too_old
from mlray.govern.remember import Remembering
from mlray.govern.snapshot import Snapshot, Watched
from mlray.govern.till import SLICE_S, Booking, Charging, Group
from mlray.policy.allowance import Allowance
from mlray.policy.match import Governance
from mlray.policy.spec import Policy

TICK_S = 5.0
# Lines of the journal are kept this long, and the newest of every subject for ever.
KEPT = timedelta(days=400)
# No window is longer than this, so nobody is told of one twice.
LONGEST_WINDOW = timedelta(days=366)


class Books(Ledger, Booking, NodeBooking, Protocol):
    """The ledger: it is charged, and balances are folded from it."""


class Store(Journal, Remembering, Protocol):
    """What the governor must not forget."""

    def watch(self, watched: Watched) -> None: ...
    def forget(self, deployment: str) -> None: ...
    def watched(self) -> tuple[Watched, ...]: ...
    def rooms(self) -> dict[str, Allowance]: ...
    def held(self) -> dict[str, str]: ...
    def told(self, since: datetime) -> dict[str, datetime]: ...
    def prune(self, before: datetime) -> int: ...


def no_policies() -> tuple[Policy, ...]:
    """Only those that jobs bring along."""
    return ()


def silent(notice: Notify) -> None:
    """Nobody listens; the journal has it."""


class Governor:
    """Governs one cluster. What it must not forget is in its stores, so it may die at any moment.

    `policies` reads those in force; `tell` is called once for each Notify, and once more where the governor died before it could write that
    it had: `Notify.key` says which are the same. `tick_s` is how often `tick` will be called.
    """

    def __init__(
        self,
        world: World,
        ledger: Books,
        store: Store,
        clock: Clock,
        *,
        policies: Callable[[], tuple[Policy, ...]] = no_policies,
        tell: Callable[[Notify], None] = silent,
        till: Charging | None = None,
        slice_s: float = SLICE_S,
        tick_s: float = TICK_S,
    ) -> None:
        self._world, self._ledger, self._store, self._clock = world, ledger, store, clock
        self._till: Charging = Counter(ledger, store, slice_s) if till is None else till
        self._rules, self._tick_s = Rules(policies), tick_s
        self._watched = store.watched()
        self._clerk = Clerk(world, store, tell)
        names = {w.deployment for w in self._watched}
        self._clerk.given |= {name: room for name, room in store.rooms().items() if name in names}
        self._clerk.held |= store.held()
        self._clerk.told |= store.told(clock.now() - LONGEST_WINDOW)
        self._looked: datetime | None = None
        self._pruned: date | None = None

    def watch(self, watched: Watched) -> Allowance | None:
        """Governs a deployment from now on, under this policy; its room is told at once, if the cluster can be seen."""
        self._store.watch(watched)
        self._clerk.given.pop(watched.deployment, None)
        self.tick()
        return self.allowance(watched.deployment)

    def forget(self, deployment: str) -> None:
        """Charges what is still owed, and governs the deployment no longer."""
        self.tick(charge_all=True)
        self._store.forget(deployment)
        self._clerk.given.pop(deployment, None)

    def forget_all(self) -> None:
        """As a cluster goes down: everything is charged to this instant, and nothing is governed any more."""
        self.tick(charge_all=True)
        for watched in self._store.watched():
            self._store.forget(watched.deployment)
        self._clerk.given.clear()

    def allowance(self, deployment: str) -> Allowance | None:
        """None for a deployment that is not governed, and when the last look is too long ago to answer for."""
        return None if too_old(self._looked, self._clock.now()) else self._clerk.given.get(deployment)

    def held(self) -> dict[str, str]:
        """The policies that admit no jobs now, each with the reason."""
        return dict(self._clerk.held)

    def tick(self, charge_all: bool = False) -> None:
        """One round. Where nothing can be seen nothing changes, and what was given grows old; nothing is raised."""
        now = self._clock.now()
        self._refresh()
        seen = look(self._world, self._watched)
        if seen is None:
            return
        self._meter(seen, now, charge_all)
        current = self._snapshot(seen, self._rules.governance)
        drafted = plan(current)
        if drafted.actions or self._clerk.busy:
            # Balances, policies and watched deployments may have changed while the cluster was looked at.
            self._refresh()
            newer = self._snapshot(seen, self._rules.governance)
            self._clerk.carry_out(recheck(drafted, newer), newer, seen.whole)
        self._looked = now
        self._prune(now)

    def draft(self, policy: Policy) -> Plan | None:
        """What the next look would do if this policy were in force; nothing is done. None where the cluster cannot be seen."""
        self._refresh()
        seen = look(self._world, self._watched)
        return None if seen is None else plan(self._snapshot(seen, self._rules.with_policy(policy)))

    def _refresh(self) -> None:
        self._watched = otherwise(self._watched, self._store.watched)
        self._rules.refresh(self._watched)

    def _meter(self, seen: Look, now: datetime, charge_all: bool) -> None:
        groups: Sequence[Group] = [Group(w.deployment, w.cause, seen.replicas.get(w.deployment, ())) for w in self._watched]
        self._till.charge(groups, seen.offers, now, charge_all)
        if seen.whole:
            self._till.nodes(seen.nodes, cluster_causes(seen, self._rules.governance), seen.offers, now, charge_all)

    def _snapshot(self, seen: Look, governance: Governance) -> Snapshot:
        now = self._clock.now()
        owed = self._till.owed(now)
        return snapshot(seen, self._watched, governance, self._rules.readable, self._clerk.memory, self._ledger, owed, now, self._tick_s)

    def _prune(self, now: datetime) -> None:
        """Once a day."""
        if self._pruned != now.date():
            otherwise(0, lambda: self._store.prune(now - KEPT))
            self._pruned = now.date()
