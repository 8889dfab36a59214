"""Losses that come together."""

from __future__ import annotations

import numpy as np
import pytest

from mlray.market.generate import region, spot
from mlray.market.together import BELIEVED, correlation, of_nodes, of_zones
from mlray.market.trace import Trace
from mlray.market.weather import HOUR, Regime, Weather

STEADY = Regime(4 * HOUR, HOUR, 24 * HOUR)


def trace(*nodes: int, zone: str = "a", tick_s: float = 60.0) -> Trace:
    return Trace(zone, tick_s, np.array(nodes))


def test_no_losses_are_the_belief():
    assert of_nodes(trace(2, 2, 2)).share == BELIEVED and of_nodes(trace(2, 2, 2)).chances == 0


def test_nodes_lost_in_one_tick_are_lost_together():
    """4 -> 0: each of four takes the other three along, 12 of 12 chances, beside the belief of 1 in 2."""
    found = of_nodes(trace(4, 4, 0, 0))
    assert [found.chances, found.share] == pytest.approx([12, 13 / 14])


def test_a_node_lost_alone_tells_that_the_others_stayed():
    found = of_nodes(trace(4, 4, 3, 3, 3, 3, 3, 3))
    assert [found.chances, found.share] == pytest.approx([3, 1 / 5])


def test_a_loss_three_minutes_later_is_still_together_and_one_after_that_is_not():
    near = of_nodes(trace(2, 1, 1, 1, 0))
    far = of_nodes(trace(2, 1, 1, 1, 1, 0))
    assert (near.chances, far.chances) == (1, 1) and near.share > BELIEVED > far.share


def test_the_share_of_a_made_market_is_near_what_it_was_made_with():
    def share(together: float) -> float:
        weather = Weather(STEADY, STEADY, nodes=4, together=together)
        return of_nodes(spot("a", 60_000, 60, np.random.default_rng(2), weather), 360).share

    assert share(0.9) > 0.7 and share(0.0) < 0.15


def test_zones_that_fall_together_have_a_lift_and_strangers_do_not():
    ups = {shared: region("ab", 60_000, 60, np.random.default_rng(5), Weather(STEADY, STEADY), shared) for shared in (0.0, 0.5)}
    strangers, kin = (of_zones(ups[shared][0], ups[shared][1]) for shared in (0.0, 0.5))
    assert kin.share > 0.3 and kin.lift > 10
    assert strangers.share < 0.1 and strangers.lift < 3
    assert correlation(ups[0.5])[0, 1] > 0.3 > abs(correlation(ups[0.0])[0, 1])


def test_a_zone_that_never_changed_is_correlated_with_none():
    assert correlation((trace(1, 0, 1), trace(1, 1, 1))).tolist() == [[pytest.approx(1), 0], [0, 0]]


def test_zones_must_be_aligned():
    with pytest.raises(ValueError, match="a and b are not aligned"):
        of_zones(trace(1, 0), trace(1, 0, zone="b", tick_s=30))
