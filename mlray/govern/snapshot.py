"""Snapshot: all that is known at one instant of what is governed: deployments, runs, nodes, offers, balances, policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from mlray.ledger.balance import Balance
from mlray.ledger.entry import Cause
from mlray.market.offer import Offer
from mlray.policy.allowance import Allowance
from mlray.policy.spec import Policy
from mlray.units import ZERO, Money


@dataclass(frozen=True, slots=True)
class Watched:
    """A deployment under government: its policy, what one replica takes, where it may run, whom its charges are for."""

    deployment: str
    policy: Policy
    cpus: float
    market: str
    cause: Cause


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica that holds a node's CPUs. `offer` is None where the node's type has no known price.

    `started` is when it was first known to run; for one that is charged already, the ledger knows better. `state` is
    running, starting or draining, and `node` the id of the node it stands on.
    """

    id: str
    offer: Offer | None
    cpus: float
    started: datetime
    node: str = ""
    state: str = "running"

    @property
    def hourly(self) -> Money | None:
        return None if self.offer is None else self.offer.price.over(3600, self.offer.share(self.cpus))


@dataclass(frozen=True, slots=True)
class Seen:
    """One deployment as observed: its replicas, the allowance it has now, the names of all policies that govern it."""

    watched: Watched
    replicas: tuple[Replica, ...]
    allowance: Allowance | None
    policies: tuple[str, ...] = ()


class TrialState(StrEnum):
    """PAUSED only where the governor paused it; what a search itself sets aside costs nothing and is not shown."""

    RUNNING = "running"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class TrialSeen:
    """One trial of a search. `hourly` is what it costs while it runs (None: unknown); `since` is when its state began."""

    id: str
    value_per_dollar: float
    hourly: Money | None
    state: TrialState = TrialState.RUNNING
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """A run of a job: a search with trials, or an ingest with none.

    `hourly` is what it costs beside its trials (None: unknown), `accrued` what it has run up and its job has not booked yet, `market` where
    its work may stand. The governor fills in `reserved`, what is left of its reservation (None: it has none), and its policies' names.
    """

    run: str
    cause: Cause
    trials: tuple[TrialSeen, ...] = ()
    hourly: Money | None = ZERO
    accrued: Money = ZERO
    market: str = "any"
    reserved: Money | None = None
    policies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """A node of a cluster. `offer` is None where its price is unknown; the head has one too, though nobody may buy more of it.

    `begun` is when it was bought and `state` running, starting, draining or idle. `tenants` are the deployments and runs whose work stands
    there, and `idle_since` is when the last one left (None: there are some). `busy_cpus` is what they hold of it.
    """

    id: str
    cluster: str
    offer: Offer | None
    begun: datetime
    state: str = "running"
    head: bool = False
    tenants: tuple[str, ...] = ()
    busy_cpus: float = 0.0
    idle_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the plan may use. `offers` is what may be bought, at the marginal price of the next node; of
    node types in `prepaid` every node that runs is paid for, so that stopping one saves nothing.

    `balances` count what has run up and is not booked yet, too; None is one that cannot be read. `held` names the policies that
    admit no jobs, `told` when people were told what, by the key of the Notify, `cluster_policies` the policies of each cluster,
    `tick_s` is the seconds until the plan is asked again. `readable` is false where the policies in force cannot be read: those
    known before still bind, nothing grows.
    """

    now: datetime
    deployments: tuple[Seen, ...] = ()
    runs: tuple[Running, ...] = ()
    nodes: tuple[NodeSeen, ...] = ()
    offers: tuple[Offer, ...] = ()
    balances: Mapping[str, Balance | None] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    held: frozenset[str] = frozenset()
    told: Mapping[str, datetime] = field(default_factory=dict)
    cluster_policies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tick_s: float = 5.0
    readable: bool = True
    prepaid: frozenset[str] = frozenset()
