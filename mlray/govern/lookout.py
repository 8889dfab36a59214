"""Lookout: what a world, a ledger and the policies in force show -> a Snapshot. What cannot be read is said to be unknown."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, TypeVar

from mlray.errors import MlrayError
from mlray.govern.actions import Action
from mlray.govern.balances import balances as balances_of
from mlray.govern.snapshot import NodeSeen, Replica, Running, Seen, Snapshot, Watched
from mlray.govern.till import CLUSTERS
from mlray.ledger.balance import Balance
from mlray.ledger.entry import Cause, Charge, Entry, Usage
from mlray.market.commitment import marginal, saving_nothing
from mlray.market.offer import Offer
from mlray.policy.allowance import Allowance
from mlray.policy.match import CLUSTER, Governance
from mlray.policy.spec import Policy
from mlray.units import Money

R = TypeVar("R")
Replicas = Mapping[str, tuple[Replica, ...]]
NO_OFFERS: tuple[Offer, ...] = ()


class World(Protocol):
    """What is governed: a live cluster, or a simulated one. Each call raises MlrayError where it cannot see or do."""

    def offers(self) -> tuple[Offer, ...]:
        """What the cluster may buy, with prices."""

    def replicas(self, watched: tuple[Watched, ...], offers: tuple[Offer, ...]) -> Replicas:
        """The replicas of each deployment that hold CPUs now. The same tuple as before says that nothing changed."""

    def runs(self) -> tuple[Running, ...]:
        """The runs of jobs that spend now, those whose trials are all paused included."""

    def nodes(self) -> tuple[NodeSeen, ...]:
        """Every node there is, heads included."""

    def apply(self, action: Action) -> None:
        """Does it. Doing it twice does it once."""


class Ledger(Protocol):
    """What balances are folded from."""

    def standing(self, policy: str, since: tuple[datetime, ...], governs: Callable[[Cause], bool] | None = None) -> tuple[Entry, ...]: ...


@dataclass(frozen=True, slots=True)
class Look:
    """What a world showed at one instant. `whole` is false where runs or nodes could not be seen: what is missing says nothing."""

    offers: tuple[Offer, ...]
    replicas: Replicas
    runs: tuple[Running, ...]
    nodes: tuple[NodeSeen, ...]
    whole: bool


def look(world: World, watched: tuple[Watched, ...]) -> Look | None:
    """None where the replicas cannot be seen: then nothing at all may change."""
    offers: tuple[Offer, ...] = otherwise(NO_OFFERS, world.offers)
    replicas = otherwise(None, lambda: world.replicas(watched, offers))
    if replicas is None:
        return None
    runs, nodes = otherwise(None, world.runs), otherwise(None, world.nodes)
    return Look(offers, replicas, runs or (), nodes or (), runs is not None and nodes is not None)


class Rules:
    """The policies in force, and those that jobs named. What was read last holds on where they cannot be read."""

    def __init__(self, read: Callable[[], tuple[Policy, ...]]) -> None:
        self._read = read
        self._named: tuple[Policy, ...] = ()
        self._in_force: tuple[Policy, ...] = ()
        self.readable = True
        self.governance = Governance(())

    def refresh(self, watched: Iterable[Watched]) -> None:
        """A policy in force takes the place of one of its name that a job brought along."""
        found = otherwise(None, self._read)
        self.readable = found is not None
        named = tuple(w.policy for w in watched)
        in_force = self._in_force if found is None else found
        if named != self._named or in_force != self._in_force:
            self._named, self._in_force = named, in_force
            self.governance = Governance({p.name: p for p in (*named, *in_force)}.values())

    def with_policy(self, policy: Policy) -> Governance:
        """As if this one were in force, too."""
        return Governance({p.name: p for p in (*self.governance.policies, policy)}.values())


@dataclass(frozen=True, slots=True)
class Memory:
    """What the governor remembers of its own decisions."""

    given: Mapping[str, Allowance]
    held: frozenset[str]
    told: Mapping[str, datetime]


def snapshot(
    seen: Look,
    watched: tuple[Watched, ...],
    governance: Governance,
    readable: bool,
    memory: Memory,
    ledger: Ledger,
    owed: Mapping[str, Money],
    now: datetime,
    tick_s: float,
) -> Snapshot:
    """Balances count what has run up and is not booked yet: `owed`, as a till has it, and what each run says of itself."""
    deployments = tuple(_seen(w, seen.replicas.get(w.deployment, ()), memory.given.get(w.deployment), governance) for w in watched)
    runs = tuple(replace(run, policies=_names(governance.of_cause(run.cause))) for run in seen.runs)
    governed = ((cluster, governance.of(CLUSTER, cluster)) for cluster in {node.cluster for node in seen.nodes})
    clusters = {cluster: _names(found) for cluster, found in governed if found}
    balances = balances_of(governance, ledger, _accrued(deployments, runs, clusters, owed, now), now)
    committed = tuple(one for policy in governance.policies for one in policy.commitments)
    running = Counter(node.offer.node_type for node in seen.nodes if node.offer) if committed else {}
    return Snapshot(
        now=now,
        deployments=deployments,
        runs=tuple(replace(run, reserved=_reserved(run, balances)) for run in runs),
        nodes=seen.nodes,
        offers=marginal(seen.offers, committed, running, now.date()),
        prepaid=saving_nothing(seen.offers, committed, running, now.date()),
        balances=balances,
        policies=governance.by_name,
        held=memory.held,
        told=memory.told,
        cluster_policies=clusters,
        tick_s=tick_s,
        readable=readable,
    )


def otherwise(instead: R, read: Callable[[], R]) -> R:
    """What can be read, or what is to be taken for it."""
    try:
        return read()
    except MlrayError:
        return instead


def _seen(watched: Watched, replicas: tuple[Replica, ...], allowance: Allowance | None, governance: Governance) -> Seen:
    return Seen(watched, replicas, allowance, _names(governance.of_cause(watched.cause)))


def _names(policies: tuple[Policy, ...]) -> tuple[str, ...]:
    return tuple([policy.name for policy in policies])


def _accrued(
    deployments: tuple[Seen, ...],
    runs: tuple[Running, ...],
    clusters: Mapping[str, tuple[str, ...]],
    owed: Mapping[str, Money],
    now: datetime,
) -> dict[str, list[Charge]]:
    """By policy, as charges that are never booked."""
    found: defaultdict[str, list[Charge]] = defaultdict(list)
    work = [(owed.get(s.watched.deployment), s.watched.cause, s.policies) for s in deployments] if owed else []
    work += [(run.accrued, run.cause, run.policies) for run in runs]
    work += [(owed.get(CLUSTERS + cluster), Cause(CLUSTER, cluster, ""), names) for cluster, names in clusters.items()]
    for amount, cause, policies in work:
        if amount:
            charge = Charge("", now, amount, cause, Usage("", "", 0.0))
            for name in policies:
                found[name].append(charge)
    return found


def _reserved(run: Running, balances: Mapping[str, Balance | None]) -> Money | None:
    """What is left of its reservation: one reservation is seen by every policy that governs it."""
    for name in run.policies:
        found = balances.get(name)
        mine = [h.amount for h in found.held if h.cause.run == run.run and h.cause.stage == run.cause.stage] if found else []
        if mine:
            return Money(sum(amount.micros for amount in mine))
    return None


def cluster_causes(seen: Look, governance: Governance) -> dict[str, Cause]:
    """Whom nodes are charged to that no work pays for: the first policy that governs their cluster."""
    found = {cluster: _names(governance.of(CLUSTER, cluster)) for cluster in sorted({node.cluster for node in seen.nodes})}
    return {cluster: Cause(CLUSTER, cluster, next(iter(names), "")) for cluster, names in found.items()}
