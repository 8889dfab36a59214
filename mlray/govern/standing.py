"""Standing: which work stands on which node, and since when a node has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from mlray.govern.machines import Bought
from mlray.govern.snapshot import NodeSeen
from mlray.market.offer import Offer

OTHER = "other work"  # CPUs that are in use, nobody under government knows for what

Places = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Standing:
    """What is remembered from look to look.

    `serving` holds the nodes of each deployment that has replicas and `working` those of each run, none where a run has no trials of its
    own; `busy` is when each node was last seen with work, or first seen at all, and `joined` the nodes that Ray has known.
    """

    serving: Places = field(default_factory=dict)
    working: Places = field(default_factory=dict)
    busy: Mapping[str, datetime] = field(default_factory=dict)
    joined: frozenset[str] = frozenset()

    def tenants(self, node: str, cpus: float) -> tuple[str, ...]:
        """Deployments and runs on a node with so many CPUs in use. A run that does not say where it works may be on any that works."""
        known = [name for place in (self.serving, self.working) for name, nodes in place.items() if node in nodes]
        unplaced = [name for name, nodes in self.working.items() if not nodes]
        return tuple(sorted(known or (unplaced or [OTHER] if cpus else [])))

    def looked(self, bought: Sequence[Bought], used: Mapping[str, float], head: str, now: datetime) -> Standing:
        """Remembers nodes that joined and those that work; forgets those that are gone. The head works while anything does."""
        joined = self.joined | {one.name for one in bought if one.ip in used}
        works = {one.name for one in bought if self.tenants(one.name, used.get(one.ip, 0.0))}
        works |= {one.name for one in bought if one.node_type == head and (works or self.serving or self.working)}
        busy = {one.name: now if one.name in works else self.busy.get(one.name, now) for one in bought}
        return replace(self, busy=busy, joined=joined & busy.keys())


def nodes(
    cluster: str,
    head: str,
    bought: Sequence[Bought],
    used: Mapping[str, float],
    known: Standing,
    drained: frozenset[str],
    offers: Mapping[str, Offer],
) -> tuple[NodeSeen, ...]:
    """What the governor sees of each node. `used` holds the CPUs in use of those that answer, by address; `offers` prices by node type.

    The head works as long as anything does: drivers and the door of every deployment are there.
    """
    everything = tuple(sorted((*known.serving, *known.working)))

    def seen(one: Bought) -> NodeSeen:
        mine, cpus = one.node_type == head, used.get(one.ip)
        tenants = everything if mine else known.tenants(one.name, cpus or 0.0)
        state = "running" if mine else _state(one, cpus is not None, bool(tenants), known, drained)
        idle = None if tenants else known.busy.get(one.name)
        return NodeSeen(one.name, cluster, offers.get(one.node_type), one.begun, state, mine, tenants, cpus or 0.0, idle)

    return tuple(map(seen, bought))


def _state(one: Bought, answers: bool, works: bool, known: Standing, drained: frozenset[str]) -> str:
    """One that answered once and does so no more is on its way out."""
    if one.name in drained or (not answers and one.name in known.joined):
        return "draining"
    if not answers:
        return "starting"
    return "running" if works else "idle"
