"""Desk: what one job works with, brought together: its files, its cluster with prices, the vault and the ledger."""

from __future__ import annotations

import secrets
from collections.abc import Container, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from mlray import files
from mlray.clock import Clock, SystemClock
from mlray.errors import SpecError
from mlray.govern.register import Register
from mlray.govern.store import GovernStore
from mlray.home import Home
from mlray.jobs.governed import Governed, governed
from mlray.jobs.governor import govern
from mlray.jobs.overseen import Overseen, Tell
from mlray.jobs.purse import Purse, purse
from mlray.jobs.read import Written, written
from mlray.launch.on_ray import Connection, connect
from mlray.ledger.entry import Cause, Charge, Usage
from mlray.ledger.meter import charge
from mlray.ledger.store import LedgerStore
from mlray.market.offer import by_type, cheapest, offers, on_demand
from mlray.policy.admission import Ask
from mlray.policy.bounds import kept
from mlray.policy.job import JobSpec
from mlray.policy.match import governs
from mlray.policy.spec import Policy, Stage
from mlray.policy.store import PolicyStore
from mlray.units import Duration, Price
from mlray.vault.store import VaultAddress

J = TypeVar("J", bound=JobSpec)


@dataclass(frozen=True, slots=True)
class Desk(Generic[J]):
    """One job about to be done. `cause` names its run; every dollar it spends is booked under it.

    `policies` are all that govern it, its own first; `notes` is what its people should know of that choice.
    """

    job: J
    policies: tuple[Policy, ...]
    notes: tuple[str, ...]
    base: Path
    home: Home
    connection: Connection
    cause: Cause
    clock: Clock

    @property
    def policy(self) -> Policy:
        """Its own: the one its file names, as it is in force."""
        return self.policies[0]

    @property
    def vault(self) -> VaultAddress:
        return VaultAddress(self.home.store, str(self.home.keyring))

    @property
    def ledger(self) -> LedgerStore:
        return LedgerStore(self.home.database)

    @property
    def prices(self) -> dict[str, Price]:
        """By node type, for one hour of a whole node; types whose price nobody knows are left out."""
        return self.connection.cluster.metadata.mlray.known

    @property
    def listed(self) -> dict[str, Price]:
        """By node type, what the same costs on demand; types without a like on demand are left out."""
        known = by_type(self.connection.cluster)
        found = {name: on_demand(offer, known.values()) for name, offer in known.items()}
        return {name: price for name, price in found.items() if price is not None}

    def ask(self, market: str, cpus: float, count: int = 1, most: int = 1, classes: tuple[str, ...] = ()) -> Ask:
        """What admission is asked: `count` pieces of work of `cpus` each, on the cheapest node that will do.

        As many as `most` may run at once. `classes` are those of the columns that it reads.
        """
        found = [offer for offer in offers(self.connection.cluster) if market in ("any", offer.capacity) and offer.cpus >= cpus]
        offer, zones = cheapest(found), tuple(sorted({offer.zone for offer in found}))
        share = offer.share(cpus) * count if offer else 1.0
        hourly = offer.price.over(3600, offer.share(cpus)) * max(count, most) if offer else None
        price = offer.price if offer else None
        tags = self.cause.tags
        name, booked = self.job.name, self.cause.job
        return Ask(self.cause.stage, name, self.job.budget, self.job.least, price, share, tags, hourly, zones, classes, booked)

    def purse(self, ask: Ask) -> AbstractContextManager[Purse]:
        """Raises RefusedError when its policies do not admit it."""
        return purse(self.ledger, self.policies, ask, self.cause, self.clock, self.held())

    def held(self) -> Container[str]:
        """The policies whose jobs the governor of the cluster holds."""
        return GovernStore(self.home.database, self.connection.name).held()

    def overseen(self, tell: Tell) -> Overseen:
        """The run under government, while it is entered."""
        govern(self.home, self.connection.name, wait=False)
        return Overseen(Register(self.home.database, self.connection.name), self.policy, tell, self.clock)

    def charge(self, key: str, usage: Usage) -> Charge:
        """Raises KeyError for a node type without a price; the cluster file was refused if one was missing."""
        return charge(
            f"{self.cause.run}/{key}",
            self.clock.now(),
            usage,
            self.prices[usage.node_type],
            self.cause,
            on_demand=self.listed.get(usage.node_type),
        )


@contextmanager
def desk(
    job: J | Path | str, kind: type[J], stage: Stage, policy: Policy | None, home: Home | None, cluster: Connection | str | None
) -> Iterator[Desk[J]]:
    """Reads the job, connects to the cluster (unless a connection is given) and names the run."""
    found = _found(job, kind, policy)
    home = (home or Home.locate()).prepare()
    policies = _governing(found, stage, home)
    clock = SystemClock()
    run = f"{found.job.name}-{clock.now():%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
    name = getattr(found.job, "deployment", found.job.name)
    cause = Cause(stage, name, policies.own.name, run, "", found.job.owner, tuple(sorted(found.job.tags.items())))
    connection = cluster if isinstance(cluster, Connection) else connect(home, cluster)
    try:
        yield Desk(_shortened(found.job, policies.policies), policies.policies, policies.notes, found.base, home, connection, cause, clock)
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


def _shortened(job: J, policies: tuple[Policy, ...]) -> J:
    """A job that makes data keeps them no longer than its policies let it."""
    if "keep" not in type(job).model_fields:
        return job
    declared: Duration | None = getattr(job, "keep", None)
    longest = kept(declared, policies)
    return job if longest == declared else job.model_copy(update={"keep": longest})


def _governing(found: _Found[J], stage: Stage, home: Home) -> Governed:
    name = getattr(found.job, "deployment", found.job.name)
    policies = governed(PolicyStore(home.database).in_force(), found.policy, stage, name, found.job.tags)
    if not governs(policies.own, stage, name, found.job.tags):
        what = "deployments" if stage is Stage.SERVE else "jobs"
        raise SpecError(
            f"{found.job.name}: policy {found.policy.name} does not govern {name}", hint=f"add {name} to governs.{what} of the policy"
        )
    return policies
