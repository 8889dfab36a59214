"""Desk: what one job works with, brought together: its files, its cluster with prices, the vault and the ledger."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from mlray import files
from mlray.clock import Clock, SystemClock
from mlray.errors import SpecError
from mlray.home import Home
from mlray.jobs.purse import Purse, purse
from mlray.jobs.read import Written, written
from mlray.launch.on_ray import Connection, connect
from mlray.ledger.entry import Cause, Charge, Usage
from mlray.ledger.meter import charge
from mlray.ledger.store import LedgerStore
from mlray.market.offer import Offer, cheapest, offers
from mlray.policy.admission import Ask
from mlray.policy.job import JobSpec
from mlray.policy.match import governs
from mlray.policy.spec import Policy, Stage
from mlray.units import Price
from mlray.vault.store import VaultAddress

J = TypeVar("J", bound=JobSpec)


@dataclass(frozen=True, slots=True)
class Desk(Generic[J]):
    """One job about to be done. `cause` names its run; every dollar it spends is booked under it."""

    job: J
    policy: Policy
    base: Path
    home: Home
    connection: Connection
    cause: Cause
    clock: Clock

    @property
    def vault(self) -> VaultAddress:
        return VaultAddress(self.home.store, str(self.home.keyring))

    @property
    def ledger(self) -> LedgerStore:
        return LedgerStore(self.home.database)

    @property
    def prices(self) -> dict[str, Price]:
        """By node type, for one hour of a whole node."""
        return self.connection.cluster.metadata.mlray.prices

    def offer(self, market: str, cpus: float) -> Offer | None:
        """The cheapest node the work may run on."""
        return cheapest(offers(self.connection.cluster), market, cpus)

    def ask(self, market: str, cpus: float, count: int = 1) -> Ask:
        """What admission is asked: `count` pieces of work of `cpus` each, on the cheapest node that will do."""
        offer = self.offer(market, cpus)
        share = offer.share(cpus) * count if offer else 1.0
        return Ask(self.cause.stage, self.job.name, self.job.budget, self.job.least, offer.price if offer else None, share)

    def purse(self, ask: Ask) -> AbstractContextManager[Purse]:
        return purse(self.ledger, self.policy, ask, self.cause, self.clock)

    def charge(self, key: str, usage: Usage) -> Charge:
        """Raises KeyError for a node type without a price; the cluster file was refused if one was missing."""
        return charge(f"{self.cause.run}/{key}", self.clock.now(), usage, self.prices[usage.node_type], self.cause)


@contextmanager
def desk(
    job: J | Path | str, kind: type[J], stage: Stage, policy: Policy | None, home: Home | None, cluster: Connection | str | None
) -> Iterator[Desk[J]]:
    """Reads the job, connects to the cluster (unless a connection is given) and names the run."""
    found = _found(job, kind, policy)
    _governed(found, stage)
    home = (home or Home.locate()).prepare()
    clock = SystemClock()
    run = f"{found.job.name}-{clock.now():%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
    name = getattr(found.job, "deployment", found.job.name)
    cause = Cause(stage, name, found.policy.name, run, "", found.job.owner, tuple(sorted(found.job.tags.items())))
    connection = cluster if isinstance(cluster, Connection) else connect(home, cluster)
    try:
        yield Desk(found.job, found.policy, found.base, home, connection, cause, clock)
    finally:
        if connection is not cluster:
            connection.close()


@dataclass(frozen=True, slots=True)
class _Found(Generic[J]):
    job: J
    policy: Policy
    base: Path


def _found(job: J | Path | str, kind: type[J], policy: Policy | None) -> _Found[J]:
    if isinstance(job, kind):
        base = Path.cwd()
        return _Found(job, policy or files.load(base / job.policy, Policy), base)
    steps: tuple[Written, ...] = written(Path(str(job)))
    if len(steps) != 1 or not isinstance(steps[0].job, kind):
        what = kind.model_fields["kind"].annotation
        raise SpecError(f"{job}: kind is not {what}", hint=f"this needs a job of kind {what}; mlray run takes any kind")
    return _Found(steps[0].job, policy or steps[0].policy, steps[0].path.parent)


def _governed(found: _Found[J], stage: Stage) -> None:
    name = getattr(found.job, "deployment", found.job.name)
    if not governs(found.policy, stage, name, found.job.tags):
        what = "deployments" if stage is Stage.SERVE else "jobs"
        raise SpecError(
            f"{found.job.name}: policy {found.policy.name} does not govern {name}", hint=f"add {name} to governs.{what} of the policy"
        )
