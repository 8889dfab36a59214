"""Nodes that start, are announced to go, are taken and are drained: tick by tick, by hand."""

from __future__ import annotations

import numpy as np

from mlray.market.fleet import Slot
from mlray.market.spec import Capacity
from mlray.simulate.machines import Machine, Machines
from mlray.simulate.scenario import START, Notices
from mlray.simulate.supply import supply
from mlray.units import Price
from tests.simulate.scenes import SILENT, SPOT_A, trace

A = Slot("a", Capacity.SPOT)


def machines(nodes: list[int], notices: Notices = SILENT, cold_ticks: int = 2, price: list[float] | None = None) -> Machines:
    market = supply((SPOT_A,), (trace("a", nodes, price=price),), len(nodes), 60.0)
    return Machines(market, notices, cold_ticks, np.random.default_rng(0))


def buy(fleet: Machines, tick: int, count: int = 1) -> list[Machine | None]:
    return [fleet.buy("flights", A, START, tick) for _ in range(count)]


def states(fleet: Machines) -> list[str]:
    return [machine.state for machine in fleet]


def test_a_node_is_ready_after_its_cold_start_and_at_once_as_a_replay_begins():
    fleet = machines([3] * 6)
    buy(fleet, 0)
    buy(fleet, 1)
    assert states(fleet) == ["running", "starting"]
    fleet.begin(2)
    assert states(fleet) == ["running", "starting"]
    assert fleet.begin(3).changed and states(fleet) == ["running", "running"]
    assert not fleet.begin(4).changed


def test_a_full_zone_sells_nothing():
    fleet = machines([2] * 3)
    assert [m is not None for m in buy(fleet, 0, 3)] == [True, True, False]


def test_as_many_as_no_longer_fit_are_taken_and_no_more():
    fleet = machines([3, 3, 1, 1])
    buy(fleet, 0, 3)
    assert not fleet.begin(1).lost
    taken = fleet.begin(2)
    assert len(taken.lost) == 2 and len(states(fleet)) == 1 and not any(m.announced for m in taken.lost)


def test_a_notice_comes_before_the_loss_and_the_announced_node_is_the_one_that_goes():
    fleet = machines([2, 2, 2, 1, 1], Notices(120.0, 1.0))
    buy(fleet, 0, 2)
    assert fleet.begin(1).changed
    (told,) = [m for m in fleet if m.announced]
    assert (told.state, told.goes_at) == ("draining", 3)
    fleet.begin(2)
    taken = fleet.begin(3)
    assert taken.lost == (told,) and told not in list(fleet)


def test_a_notice_that_never_arrives_leaves_a_loss_without_a_word():
    fleet = machines([2, 2, 2, 1, 1], Notices(120.0, 0.0))
    buy(fleet, 0, 2)
    assert not fleet.begin(1).changed and not fleet.begin(2).changed
    assert [m.announced for m in fleet.begin(3).lost] == [False]


def test_a_drained_node_goes_and_is_not_counted_as_lost():
    fleet = machines([2] * 5)
    (machine,) = buy(fleet, 0)
    assert machine is not None
    fleet.drain(machine, 2)
    assert machine.state == "draining" and not fleet.begin(1).lost
    assert fleet.begin(2).lost == () and states(fleet) == []


def test_a_new_price_holds_for_nodes_that_run():
    fleet = machines([1, 1], price=[0.5, 0.25])
    (machine,) = buy(fleet, 0)
    assert machine is not None and machine.offer.price == Price.parse("$0.50/h")
    assert fleet.begin(1).repriced and machine.offer.price == Price.parse("$0.25/h")
