"""Loop: observe -> meter -> plan -> recheck -> apply -> record, over any world that can show its replicas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Protocol, TypeVar

from mlray.clock import Clock
from mlray.errors import MlrayError, StoreError
from mlray.govern.actions import SetAllowance
from mlray.govern.metering import Lived
from mlray.govern.plan import Plan, plan
from mlray.govern.recheck import recheck, too_old
from mlray.govern.snapshot import Replica, Seen, Snapshot, Watched
from mlray.govern.store import GovernStore
from mlray.govern.till import SLICE_S, Till
from mlray.ledger.balance import Balance, balance, since
from mlray.ledger.store import LedgerStore
from mlray.market.offer import Offer
from mlray.policy.allowance import Allowance
from mlray.policy.spec import Policy

R = TypeVar("R")
Replicas = Mapping[str, tuple[Replica, ...]]
NO_OFFERS: tuple[Offer, ...] = ()


class World(Protocol):
    """What is governed: a live cluster, or one in a test. Both raise MlrayError when they cannot see."""

    def offers(self) -> tuple[Offer, ...]:
        """What the cluster may buy, with prices."""

    def replicas(self, watched: tuple[Watched, ...], offers: tuple[Offer, ...]) -> Replicas:
        """The replicas of each deployment that hold CPUs now."""


class Governor:
    """Governs the deployments of one cluster. What it must not forget is in its stores, so it may die at any moment."""

    def __init__(self, world: World, ledger: LedgerStore, store: GovernStore, clock: Clock, slice_s: float = SLICE_S) -> None:
        self._world, self._store, self._clock = world, store, clock
        self._ledger, self._till = ledger, Till(ledger, slice_s)
        self._watched = store.watched()
        self._given = {w.deployment: a for w in self._watched if (a := store.given(w.deployment))}
        self._unwritten: tuple[Plan, ...] = ()
        self._looked: datetime | None = None

    def watch(self, watched: Watched) -> Allowance | None:
        """Governs a deployment from now on, under this policy; its room is told at once, if the cluster can be seen."""
        self._store.watch(watched)
        self._given.pop(watched.deployment, None)
        self.tick()
        return self.allowance(watched.deployment)

    def forget(self, deployment: str) -> None:
        """Charges what is still owed, and governs the deployment no longer."""
        self.tick(charge_all=True)
        self._store.forget(deployment)
        self._given.pop(deployment, None)

    def forget_all(self) -> None:
        """As a cluster goes down: everything is charged to this instant, and nothing is governed any more."""
        self.tick(charge_all=True)
        for watched in self._store.watched():
            self._store.forget(watched.deployment)
        self._given.clear()

    def allowance(self, deployment: str) -> Allowance | None:
        """None for a deployment that is not governed, and when the last look is too long ago to answer for."""
        return None if too_old(self._looked, self._clock.now()) else self._given.get(deployment)

    def tick(self, charge_all: bool = False) -> None:
        """One round. Where nothing can be seen nothing changes, and what was given grows old; nothing is raised."""
        now = self._clock.now()
        self._watched = _else(self._watched, self._store.watched)
        offers = _else(NO_OFFERS, self._world.offers)
        replicas = _else(None, lambda: self._world.replicas(self._watched, offers))
        if replicas is None:
            return
        self._till.charge(_lived(self._watched, replicas, now), charge_all)
        drafted = plan(self._snapshot(self._watched, replicas, offers))
        # Balances and watched deployments may have changed while the cluster was looked at.
        newer = _else(self._watched, self._store.watched)
        self._apply(recheck(drafted, self._snapshot(newer, replicas, offers)))
        self._looked = now

    def _snapshot(self, watched: tuple[Watched, ...], replicas: Replicas, offers: tuple[Offer, ...]) -> Snapshot:
        now = self._clock.now()
        seen = (Seen(w, replicas.get(w.deployment, ()), self._balance(w.policy, now), self._given.get(w.deployment)) for w in watched)
        return Snapshot(now, tuple(seen), offers)

    def _balance(self, policy: Policy, now: datetime) -> Balance | None:
        entries = _else(None, lambda: self._ledger.standing(policy.name, since(policy.budget, now)))
        return None if entries is None else balance(policy.budget, entries, now)

    def _apply(self, kept: Plan) -> None:
        self._given.update({a.deployment: a.allowance for a in kept.actions if isinstance(a, SetAllowance)})
        self._unwritten = (*self._unwritten, kept) if kept.actions else self._unwritten
        with suppress(StoreError):
            while self._unwritten:
                self._store.record(self._unwritten[0])
                self._unwritten = self._unwritten[1:]


def _lived(watched: tuple[Watched, ...], replicas: Replicas, now: datetime) -> tuple[Lived, ...]:
    return tuple(Lived(replica, w.cause, now) for w in watched for replica in replicas.get(w.deployment, ()))


def _else(otherwise: R, read: Callable[[], R]) -> R:
    """What can be read, or what is to be taken for it."""
    try:
        return read()
    except MlrayError:
        return otherwise
