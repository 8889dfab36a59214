"""A small world to govern: deployments whose load changes, searches whose trials cost money, and a ledger that is a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from mlray.govern.actions import Action, Drain, PauseTrial, ResumeTrial, SetAllowance, StopCluster, StopRun
from mlray.govern.snapshot import NodeSeen, Replica, Running, TrialSeen, TrialState, Watched
from mlray.ledger.entry import Asked, Cause, Charge, Entry, Reservation, Usage
from mlray.ledger.meter import Metered
from mlray.market.offer import Offer
from mlray.units import Money


class ListLedger:
    """What a LedgerStore answers, from a list. Each key counts once."""

    def __init__(self) -> None:
        self.by_key: dict[str, Entry] = {}
        self.far: dict[str, Metered] = {}

    def append(self, *entries: Entry) -> None:
        for entry in entries:
            if entry.key in self.by_key:
                assert self.by_key[entry.key] == entry, f"{entry.key} stands for two events"
            elif isinstance(entry, Charge) and entry.cause.item:
                before = self.far.get(entry.cause.item, Metered(entry.at, 0.0))
                self.far[entry.cause.item] = Metered(max(before.until, entry.at), before.seconds + entry.usage.seconds)
            self.by_key[entry.key] = entry

    def charged(self, items: Iterable[str]) -> dict[str, Metered]:
        return {item: self.far[item] for item in items if item in self.far}

    def settle(self, items: Iterable[str], due: Callable[[Mapping[str, Metered]], Iterable[Entry]]) -> tuple[Entry, ...]:
        entries = tuple(due(self.charged(items)))
        self.append(*entries)
        return entries

    def standing(self, policy: str, since: tuple[datetime, ...], governs: Callable[[Cause], bool] | None = None) -> tuple[Entry, ...]:
        asked = Asked(policy, since, governs)
        return tuple(e for e in self.by_key.values() if asked.counts(e.cause))

    def entries(
        self, policy: str | None = None, since: datetime | None = None, until: datetime | None = None, nodes: Iterable[str] | None = None
    ) -> tuple[Entry, ...]:
        wanted = None if nodes is None else set(nodes)
        return tuple(
            e
            for e in self.by_key.values()
            if (since is None or e.at >= since) and (wanted is None or (isinstance(e, Charge) and e.usage.node in wanted))
        )

    def charges(self) -> list[Charge]:
        return [e for e in self.by_key.values() if isinstance(e, Charge)]


@dataclass(frozen=True, slots=True)
class Served:
    """A deployment: how many replicas its load asks for at each look."""

    watched: Watched
    wanted: tuple[int, ...]


@dataclass
class SmallWorld:
    """Replicas follow their load inside the room that was given; trials run until they are paused. Everything is a fact of `look`."""

    offer: Offer
    served: tuple[Served, ...] = ()
    searches: dict[str, Running] = field(default_factory=dict)
    look: int = 0
    now: datetime = datetime(2026, 11, 22)
    running: dict[str, tuple[Replica, ...]] = field(default_factory=dict)
    room: dict[str, tuple[int, int]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    made: int = 0
    machines: bool = False
    born: dict[str, datetime] = field(default_factory=dict)
    lived: dict[str, float] = field(default_factory=dict)
    stood: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.born.setdefault("head", self.now)

    def offers(self) -> tuple[Offer, ...]:
        return (self.offer,)

    def replicas(self, watched: tuple[Watched, ...], offers: tuple[Offer, ...]) -> Mapping[str, tuple[Replica, ...]]:
        return dict(self.running)

    def runs(self) -> tuple[Running, ...]:
        return tuple(self.searches.values())

    def nodes(self) -> tuple[NodeSeen, ...]:
        """A head, and a node for every four replicas that were ever made, as long as one of them runs."""
        if not self.machines:
            return ()
        standing: dict[str, list[str]] = {}
        for name, replicas in self.running.items():
            for replica in replicas:
                standing.setdefault(replica.node, []).append(name)
        head = NodeSeen("head", "local", self.offer, self.born["head"], head=True, idle_since=self.born["head"])
        work = (NodeSeen(n, "local", self.offer, self.born[n], tenants=tuple(t), busy_cpus=0.5 * len(t)) for n, t in standing.items())
        return (head, *work)

    def apply(self, action: Action) -> None:
        match action:
            case SetAllowance(deployment=name, allowance=given):
                self.room[name] = (given.floor, given.ceiling)
                self._note(self.running.get(name, ()))
                self._follow(name)
            case PauseTrial(run=run, trial=trial):
                self._set(run, trial, TrialState.PAUSED)
            case ResumeTrial(run=run, trial=trial):
                self._set(run, trial, TrialState.RUNNING)
            case StopRun(run=run):
                self.searches.pop(run, None)
            case Drain() | StopCluster():
                self.gone.add(action.subject)

    def turn(self, seconds: float) -> tuple[Charge, ...]:
        """Time goes on; what the searches' own jobs book for it."""
        self.noted()
        charges = tuple(c for run in self.searches.values() for c in self._spent(run, seconds))
        self.look, self.now = self.look + 1, self.now + timedelta(seconds=seconds)
        for one in self.served:
            self._follow(one.watched.deployment)
        return tuple(replace(c, at=self.now) for c in charges)

    def noted(self) -> None:
        """What was there at the last look."""
        for replicas in self.running.values():
            self._note(replicas)

    def burn(self) -> float:
        """Micro-dollars an hour of all that runs."""
        serving = sum(r.hourly.micros for rs in self.running.values() for r in rs if r.hourly)
        return serving + sum(
            t.hourly.micros for run in self.searches.values() for t in run.trials if t.hourly and t.state == TrialState.RUNNING
        )

    def _follow(self, name: str) -> None:
        low, high = self.room.get(name, (0, 0))
        served = next(one for one in self.served if one.watched.deployment == name)
        wanted = max(low, min(high, served.wanted[self.look % len(served.wanted)]))
        have = self.running.get(name, ())
        if len(have) > wanted:
            self.running[name] = have[:wanted]
        while len(self.running.get(name, ())) < wanted:
            node = f"n{self.made // 4}"
            self.born.setdefault(node, self.now)
            self.made += 1
            replica = Replica(f"r{self.made}", self.offer, served.watched.cpus, self.now, node)
            self.running[name] = (*self.running.get(name, ()), replica)

    def _note(self, replicas: Iterable[Replica]) -> None:
        """How many seconds each was there for, at the last look that saw it."""
        for replica in replicas:
            self.lived[replica.id] = (self.now - replica.started).total_seconds()
            self.stood[replica.node] = (self.now - self.born[replica.node]).total_seconds()

    def _set(self, run: str, trial: str, state: TrialState) -> None:
        found = self.searches[run]
        trials = tuple(replace(t, state=state, since=self.now) if t.id == trial and t.state != state else t for t in found.trials)
        self.searches[run] = replace(found, trials=trials)

    def _spent(self, run: Running, seconds: float) -> Iterable[Charge]:
        for t in run.trials:
            if t.state == TrialState.RUNNING and t.hourly is not None:
                cause = replace(run.cause, item=f"{run.run}#{t.id}")
                amount = Money(round(t.hourly.micros * seconds / 3600))
                usage = Usage(self.offer.node_type, self.offer.capacity, seconds, 0.5)
                yield Charge(f"{run.run}#{t.id}/{self.look}", self.now, amount, cause, usage)


def searching(run: str, policy: str, values: Iterable[float], hourly: Money) -> Running:
    trials = tuple(TrialSeen(f"t{i}", value, hourly) for i, value in enumerate(values))
    return Running(run, Cause("tune", f"{run}-tune", policy, run), trials)


def hold(run: Running, amount: Money, at: datetime) -> Reservation:
    return Reservation(f"reserve/{run.run}", at, amount, run.cause)
