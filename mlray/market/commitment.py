"""Committed capacity: nodes that are paid for whether they run or not are used first, for they cost nothing more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from fnmatch import fnmatchcase
from typing import Protocol

from mlray.market.offer import Offer
from mlray.market.spec import Capacity
from mlray.units import ZERO, Price

FREE = Price(ZERO)


class Committed(Protocol):
    """What a policy declares: so many nodes of the node types that a pattern fits, the day `until` included."""

    @property
    def node_type(self) -> str: ...
    @property
    def nodes(self) -> int: ...
    @property
    def until(self) -> date | None: ...


def marginal(offers: Sequence[Offer], commitments: Iterable[Committed], running: Mapping[str, int], today: date) -> tuple[Offer, ...]:
    """The offers at what the next node of each adds to the bill: nothing while committed nodes are unused, else its price.

    `running` counts nodes by node type. Prices of what runs already do not change; ask again after each node.
    """
    free = unused(offers, commitments, running, today)
    if not free:
        return tuple(offers)
    return tuple(replace(offer, price=FREE) if offer.node_type in free else offer for offer in offers)


def unused(offers: Sequence[Offer], commitments: Iterable[Committed], running: Mapping[str, int], today: date) -> dict[str, int]:
    """How many more nodes of each type are paid for already; types without any are left out.

    Only on-demand nodes use a commitment up: no cloud lets a reservation or a savings plan pay for spot. Commitments with
    patterns are pools: the narrowest takes the nodes that run first, so that the wide ones stay free for other types.
    """
    return _shared(offers, commitments, running, today)[0]


def saving_nothing(offers: Sequence[Offer], commitments: Iterable[Committed], running: Mapping[str, int], today: date) -> frozenset[str]:
    """Node types of which every running node is paid for already: to stop one of them saves nothing."""
    paid_apart = _shared(offers, commitments, running, today)[1]
    return frozenset(kind for kind, count in paid_apart.items() if running.get(kind, 0) and not count)


def _shared(
    offers: Sequence[Offer], commitments: Iterable[Committed], running: Mapping[str, int], today: date
) -> tuple[dict[str, int], dict[str, int]]:
    """Nodes that are committed and not used, and nodes that run beyond what is committed, by on-demand type."""
    commitments = tuple(commitments)
    if not commitments:
        return {}, {}
    bought = sorted({offer.node_type for offer in offers if offer.capacity is Capacity.ON_DEMAND})
    beyond = {kind: running.get(kind, 0) for kind in bought}
    free: dict[str, int] = {}
    for fitting, nodes in _pools(bought, commitments, today):
        for kind in fitting:
            taken = min(beyond[kind], nodes)
            beyond[kind] -= taken
            nodes -= taken
        if nodes:
            free |= {kind: free.get(kind, 0) + nodes for kind in fitting}
    return free, beyond


def _pools(bought: Sequence[str], commitments: Iterable[Committed], today: date) -> list[tuple[list[str], int]]:
    """The node types that each commitment in force covers, and its nodes; narrow ones first, those that fit nothing left out."""
    valid = (c for c in commitments if c.until is None or today <= c.until)
    pools = [([kind for kind in bought if fnmatchcase(kind, c.node_type)], c.nodes) for c in valid]
    return sorted((pool for pool in pools if pool[0]), key=lambda pool: len(pool[0]))
