"""SimWorld: a cluster made of traces. It speaks the protocol of the live one, and moves nothing but time, machines and requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

import numpy as np

from mlray.govern import snapshot
from mlray.govern.actions import Action, Drain, HoldJobs, PauseTrial, ResumeTrial, StopCluster, StopRun
from mlray.govern.need import Ground, Words
from mlray.govern.snapshot import NodeSeen, Replica, Watched
from mlray.ledger.balance import Balance
from mlray.ledger.entry import Cause
from mlray.market.commitment import unused
from mlray.market.fleet import Pool
from mlray.market.offer import Offer
from mlray.market.spec import Capacity
from mlray.policy.allowance import Allowance
from mlray.policy.match import CLUSTER, Governance
from mlray.simulate.machines import Machine, Machines
from mlray.simulate.scenario import Scenario
from mlray.simulate.searching import Ledger, Search
from mlray.simulate.serving import Serving
from mlray.simulate.supply import Supply
from mlray.simulate.till import Kind, Running, SimTill
from mlray.simulate.track import Decision

NONE = Running(0, 0)
DOWN = Allowance(0, 0, 1.0, "the cluster was taken down")
Replicas = Mapping[str, tuple[Replica, ...]]
Tenant = tuple[str, Capacity]


class Rate(NamedTuple):
    """What the nodes of each tenant cost an hour from a tick on, in micro-dollars by tenant and capacity type."""

    tick: int
    micros: Mapping[Tenant, int]


class SimWorld:
    """The machines, deployments and searches of a scenario at one tick. `begin` and `step` move it on; the rest is what a governor sees.

    What has not changed since the last look is the very same object, so that nobody needs to look twice.
    """

    def __init__(
        self, scenario: Scenario, supply: Supply, rng: np.random.Generator, ledger: Ledger, till: SimTill, tell: Callable[[Decision], None]
    ) -> None:
        self.scenario, self.supply, self._till = scenario, supply, till
        tick_s = scenario.tick_s
        self._cold = int(-(-scenario.cold_start_s // tick_s))
        self.machines = Machines(supply, scenario.notices, self._cold, rng)
        spots = tuple(vein.slot.zone for vein in supply.veins if vein.slot.capacity is Capacity.SPOT)
        notice_s = scenario.notices.ahead_s if scenario.notices.chance else 0.0
        self.serving = {
            s.name: Serving(
                s,
                self.machines,
                Ground(scenario.cold_start_s, notice_s, s.per_node, spots),
                s.load.ticks(scenario.ticks, tick_s).tolist(),
                tick_s,
                tell,
            )
            for s in scenario.serving
        }
        self.searches = {s.run: Search(s, self.machines, tick_s, ledger, tell) for s in scenario.searching}
        self.tick, self.now = 0, scenario.start
        governance = Governance(scenario.policies)
        cluster_policies = governance.of(CLUSTER, scenario.cluster)
        self._committed = {s.name: tuple(c for p in governance.of_cause(s.watched.cause) for c in p.commitments) for s in scenario.serving}
        self._cause = Cause(CLUSTER, scenario.cluster, cluster_policies[0].name if cluster_policies else "")
        self._lost: dict[str, list[Machine]] = {}
        self._held: set[str] = set()
        self._replicas: Replicas | None = None
        self._nodes: tuple[NodeSeen, ...] | None = None
        self._metered = self._down = False
        self.rates: list[Rate] = []
        self._offers: tuple[Offer, ...] = ()
        self._pools: tuple[Pool, ...] = ()
        self._priced()

    # What the governor sees and does

    def offers(self) -> tuple[Offer, ...]:
        return self._offers

    def replicas(self, watched: tuple[Watched, ...], offers: tuple[Offer, ...]) -> Replicas:
        if self._replicas is None:
            self._replicas = {name: _replicas(serving) for name, serving in self.serving.items()}
        return self._replicas

    def runs(self) -> tuple[snapshot.Running, ...]:
        return tuple(search.seen() for search in self.searches.values() if search.running)

    def nodes(self) -> tuple[NodeSeen, ...]:
        if self._nodes is None:
            self._nodes = tuple(self._node(machine) for machine in self.machines)
        return self._nodes

    def apply(self, action: Action) -> None:
        """Allowances are read from the governor itself; all else is done here."""
        match action:
            case HoldJobs(policy, held):
                (self._held.add if held else self._held.discard)(policy)
            case PauseTrial(run, trial):
                self.searches[run].pause(trial, self.now)
            case ResumeTrial(run, trial):
                self.searches[run].resume(trial, self.now)
            case StopRun(run, _, reason):
                self.searches[run].end(self.now, reason)
            case Drain(node):
                for machine in [m for m in self.machines if m.id == node]:
                    self.machines.drain(machine, self.tick + self._cold)
            case StopCluster():
                self._down = True
                self.machines.stop(list(self.machines))
        self._changed()

    # What time does

    def begin(self, tick: int, now: datetime) -> None:
        """The tick before is over: searches have worked and paid, and the market takes what it takes."""
        self._till.book(now)
        for search in self.searches.values():
            if search.running:
                search.run(now)
        self.tick, self.now = tick, now
        taken = self.machines.begin(tick) if tick < self.supply.ticks else None
        self._lost = {}
        if taken is None or not (taken.changed or taken.repriced):
            return
        if taken.repriced:
            self._priced()
        for machine in taken.lost:
            self._lost.setdefault(machine.tenant, []).append(machine)
        if taken.changed:
            for name, serving in self.serving.items():
                serving.look(self._lost.get(name, ()))
            for run, search in self.searches.items():
                search.look(self._lost.get(run, ()), now)
        self._changed()

    def step(self, words: Mapping[str, tuple[Words, ...]], allowed: Callable[[str], Allowance | None]) -> None:
        """What deployments do in the tick that begins, inside what the governor allows now."""
        if self._down:
            allowed = _nothing
        moved = [
            s.step(self.tick, self.now, allowed(n), words[n], self._pools_of(n), self._lost.get(n, ())) for n, s in self.serving.items()
        ]
        if any(moved):
            self._changed()

    def search(self, balance: Callable[[Search], Balance | None]) -> None:
        """Searches ask to start, and start what trials they may."""
        seconds = self.tick * self.scenario.tick_s
        if self._down:
            return
        for search in self.searches.values():
            if search.asks(seconds):
                search.ask(self.now, balance(search), self._offers, search.searched.policy.name in self._held)
            if search.running:
                search.step(self.tick, self.now, self._offers)
                self._changed()

    def meter(self) -> None:
        """Notes what runs from now on and what it costs, where that has changed: what charges are checked against, and drawn from."""
        if self._metered:
            return
        kinds, costs = dict[Kind, Running](), Counter[Tenant]()
        for (tenant, slot, ready), nodes in Counter((m.tenant, m.slot, m.ready) for m in self.machines).items():
            offer = self.machines.offers[slot]
            micros = nodes * offer.price.per_hour.micros
            costs[tenant, slot.capacity] += micros
            state, share = "running" if ready else "starting", offer.share(self._cpus(tenant))
            worked = round(micros * share)
            if tenant in self.serving:
                _add(kinds, Kind(self.serving[tenant].served.watched.cause, offer.node_type, offer.capacity, state), nodes * share, worked)
            if micros > worked:  # what no work pays for is the cluster's, as it is live
                _add(kinds, Kind(self._cause, offer.node_type, offer.capacity, "idle"), nodes * (1 - share), micros - worked)
        self.rates.append(Rate(self.tick, costs))
        self._till.runs(kinds, self.now)
        self._metered = True

    def _priced(self) -> None:
        self._offers = tuple(self.machines.offers.values())
        self._pools = tuple(Pool(slot, offer.price) for slot, offer in self.machines.offers.items())

    def _pools_of(self, deployment: str) -> tuple[Pool, ...]:
        """What may be bought; nodes that are committed, and that nobody else uses, are paid for already."""
        commitments = self._committed[deployment]
        if not commitments:
            return self._pools
        others = Counter(m.offer.node_type for m in self.machines if m.tenant != deployment)
        free = unused(self._offers, commitments, others, self.now.date())
        return tuple(Pool(slot, offer.price, free.get(offer.node_type, 0)) for slot, offer in self.machines.offers.items())

    def _changed(self) -> None:
        self._replicas = self._nodes = None
        self._metered = False

    def _node(self, machine: Machine) -> NodeSeen:
        cluster, cpus = self.scenario.cluster, self._cpus(machine.tenant)
        return NodeSeen(machine.id, cluster, machine.offer, machine.begun, machine.state, False, (machine.tenant,), cpus)

    def _cpus(self, tenant: str) -> float:
        """What its work holds of one node."""
        if tenant in self.searches:
            return self.searches[tenant].searched.cpus
        served = self.serving[tenant].served
        return served.watched.cpus * served.per_node


def _add(kinds: dict[Kind, Running], kind: Kind, nodes: float, micros: int) -> None:
    before = kinds.get(kind, NONE)
    kinds[kind] = Running(before.nodes + nodes, before.micros + micros)


def _replicas(serving: Serving) -> tuple[Replica, ...]:
    watched, per_node = serving.served.watched, serving.served.per_node
    return tuple(
        Replica(f"{m.id}.{i}" if per_node > 1 else m.id, m.offer, watched.cpus, m.begun, m.id, m.state)
        for m in serving.machines
        for i in range(per_node)
    )


def _nothing(deployment: str) -> Allowance:
    return DOWN
