"""What the governor sees: prepaid capacity is offered at what it adds to the bill."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from mlray.govern.actions import Drain
from mlray.govern.lookout import Look, Memory, snapshot
from mlray.govern.plan import plan
from mlray.govern.snapshot import Snapshot
from mlray.ledger.entry import Cause, Entry
from mlray.market.commitment import FREE
from mlray.policy.match import Governance
from tests.govern.givens import NOON, SPOT, STEADY, node, paid, policy, search, trial


class Paid:
    """A ledger whose only charge is $19 of the $20."""

    def standing(self, policy: str, since: tuple[datetime, ...], governs: Callable[[Cause], bool] | None = None) -> tuple[Entry, ...]:
        return (paid("$19"),)


def look(committed: int, running: int) -> Snapshot:
    """So many on-demand nodes run a search that tolerates spot, under a policy that is short and has committed nodes."""
    nodes = tuple(node(str(i), STEADY, ("s",)) for i in range(running))
    rules = policy(commitments=[{"node_type": "on-demand", "nodes": committed}] if committed else [])
    seen = Look((SPOT, STEADY), {}, (search("s", trial("t", 1.0)),), nodes, True)
    return snapshot(seen, (), Governance((rules,)), True, Memory({}, frozenset(), {}), Paid(), {}, NOON, 5.0)


def test_while_committed_nodes_are_unused_the_next_one_costs_nothing():
    assert [look(2, running).offers[1].price for running in (0, 1, 2)] == [FREE, FREE, STEADY.price]
    assert look(0, 1).offers == (SPOT, STEADY)


def test_work_does_not_move_off_nodes_that_are_paid_for():
    drained = [[a.node for a in plan(look(committed, 2)).actions if isinstance(a, Drain)] for committed in (0, 1, 2)]
    assert drained == [["0"], ["0"], []]
