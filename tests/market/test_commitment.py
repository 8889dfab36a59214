"""Committed nodes are used first: the next one costs nothing while some are unused."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from mlray.market.commitment import marginal, saving_nothing, unused
from mlray.market.offer import Offer, cheapest
from mlray.market.spec import Capacity
from mlray.policy.spec import Commitment
from mlray.units import Price

TODAY = date(2026, 6, 1)
SPOT = Offer("m7i-spot", "a", Capacity.SPOT, Price.parse("$0.04/h"), 2)
LARGE = Offer("m7i-large", "a", Capacity.ON_DEMAND, Price.parse("$0.1008/h"), 2)
XLARGE = Offer("m7i-xlarge", "a", Capacity.ON_DEMAND, Price.parse("$0.2016/h"), 4)
ALL = (SPOT, LARGE, XLARGE)


def committed(node_type: str, nodes: int, until: date | None = None) -> Commitment:
    return Commitment(node_type=node_type, nodes=nodes, until=until)


def prices(commitments: tuple[Commitment, ...], **running: int) -> list[str]:
    return [str(o.price) for o in marginal(ALL, commitments, {k.replace("_", "-"): n for k, n in running.items()}, TODAY)]


def test_a_prepaid_node_beats_spot_until_it_is_in_use():
    two = (committed("m7i-large", 2),)
    assert cheapest(marginal(ALL, two, {"m7i-large": 1}, TODAY)) == Offer("m7i-large", "a", Capacity.ON_DEMAND, Price.parse("$0/h"), 2)
    assert cheapest(marginal(ALL, two, {"m7i-large": 2}, TODAY)) == SPOT
    assert marginal(ALL, two, {"m7i-large": 2}, TODAY) == ALL


def test_a_commitment_never_pays_for_spot_and_spot_never_uses_it_up():
    assert prices((committed("m7i-*", 1),), m7i_spot=5) == ["$0.04/h", "$0.00/h", "$0.00/h"]


def test_a_pattern_is_one_pool_for_the_types_it_fits():
    assert prices((committed("m7i-*", 2),), m7i_large=1, m7i_xlarge=1) == [str(o.price) for o in ALL]


def test_the_narrow_commitment_takes_the_running_nodes_first():
    both = (committed("*", 1), committed("m7i-large", 1))
    assert unused(ALL, both, {"m7i-large": 1}, TODAY) == {"m7i-large": 1, "m7i-xlarge": 1}


def test_it_ends_after_its_last_day():
    assert unused(ALL, (committed("m7i-large", 1, TODAY),), {}, TODAY) == {"m7i-large": 1}
    assert unused(ALL, (committed("m7i-large", 1, date(2026, 5, 31)),), {}, TODAY) == {}


def test_to_stop_a_node_that_is_paid_for_saves_nothing():
    two = (committed("m7i-large", 2),)
    running = [{"m7i-large": count, "m7i-spot": 1} for count in (0, 1, 2, 3)]
    assert [sorted(saving_nothing(ALL, two, held, TODAY)) for held in running] == [[], ["m7i-large"], ["m7i-large"], []]
    assert not saving_nothing(ALL, (), {"m7i-large": 1}, TODAY)


def test_without_commitments_the_offers_are_the_very_same():
    assert marginal(ALL, (), {}, TODAY) is ALL


def test_one_that_fits_no_offer_changes_nothing():
    assert marginal(ALL, (committed("p5*", 3),), {}, TODAY) == ALL


@given(st.lists(st.tuples(st.sampled_from(["*", "m7i-large", "m7i-x*", "none"]), st.integers(1, 5))), st.integers(0, 6), st.integers(0, 6))
def test_buying_while_free_ends_when_the_commitments_are_used_up(declared: list[tuple[str, int]], large: int, xlarge: int):
    """Free nodes bought greedily never exceed what is committed, and never stop before some pool is full."""
    pools = tuple(committed(pattern, nodes) for pattern, nodes in declared)
    running, bought = {"m7i-large": large, "m7i-xlarge": xlarge}, 0
    while free := unused(ALL, pools, running, TODAY):
        running[min(free)] += 1
        bought += 1
    assert bought <= sum(pool.nodes for pool in pools if pool.node_type != "none")
    assert sum(running.values()) >= sum(pool.nodes for pool in pools if pool.node_type == "*")
