"""Generated markets hold the statistics they were asked for."""

from __future__ import annotations

import numpy as np
import pytest

from mlray.market.generate import region, spot
from mlray.market.trace import Trace
from mlray.market.weather import DAY, HOUR, MIXED, Regime, Weather

QUICK = Weather(Regime(6 * HOUR, 0.5 * HOUR, DAY), Regime(1 * HOUR, 2 * HOUR, 0.5 * DAY))


def rng(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def durations(trace: Trace, up: bool) -> float:
    """Mean seconds of the whole stays of this kind: the first and the last are cut off."""
    edges = np.flatnonzero(np.diff(trace.up)) + 1
    lengths, states = np.diff(edges), trace.up[edges[:-1]]
    return float(lengths[states == up].mean()) * trace.tick_s


def test_the_same_seed_gives_the_same_market_and_another_seed_another():
    one, same, other = (region("ab", 500, 300, rng(seed), Weather(nodes=3)) for seed in (1, 1, 2))
    for a, b in zip(one, same, strict=True):
        np.testing.assert_array_equal(a.nodes, b.nodes)
        np.testing.assert_array_equal(a.price, b.price)
    assert any((a.nodes != b.nodes).any() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("weather", [QUICK, Weather(QUICK.calm, QUICK.calm), Weather(QUICK.rough, QUICK.rough)])
def test_the_share_of_time_and_the_mean_stays_are_as_asked_for(weather: Weather):
    trace = spot("a", 400_000, 60, rng(), weather)  # 278 days
    assert trace.up.mean() == pytest.approx(weather.share, abs=0.02)
    assert durations(trace, up=True) == pytest.approx(weather.up_s, rel=0.12)
    assert durations(trace, up=False) == pytest.approx(weather.down_s, rel=0.12)


def test_regimes_make_losses_come_in_clusters():
    """Losses of two regimes are spread over days less evenly than those of one with the same mean stays."""

    def spread(weather: Weather) -> float:
        up = spot("a", 288 * 400, 300, rng(), weather).up.reshape(400, 288)
        losses = (up[:, :-1] & ~up[:, 1:]).sum(axis=1)
        return float(losses.var() / losses.mean())

    even = Regime(MIXED.up_s, MIXED.down_s, DAY)
    assert spread(MIXED) > 1.5 * spread(Weather(even, even))


def test_zones_of_a_region_have_the_correlation_asked_for():
    found = [np.corrcoef([t.up for t in region("ab", 100_000, 300, rng(), QUICK, shared)])[0, 1] for shared in (0.0, 0.4, 1.0)]
    assert found[0] == pytest.approx(0, abs=0.06)
    assert found[1] == pytest.approx(0.4, abs=0.1)
    assert found[2] == 1.0


def test_nodes_of_a_zone_are_lost_together():
    weather = Weather(QUICK.calm, QUICK.rough, nodes=4, together=0.9)
    trace = spot("a", 100_000, 300, rng(), weather)
    assert trace.nodes.max() == 4 and trace.nodes.mean() / 4 == pytest.approx(weather.share, abs=0.03)
    lone = spot("a", 100_000, 300, rng(), Weather(QUICK.calm, QUICK.rough, nodes=4, together=0.0))
    apart = [np.isin(t.nodes, (1, 2, 3)).mean() for t in (trace, lone)]
    assert apart[0] < 0.2 < 0.6 < apart[1]


def test_prices_keep_their_mean_and_swing_and_move_slowly():
    price = spot("a", 200_000, 600, rng(), Weather(price=2.0, swing=0.1)).price
    assert price is not None and price.min() > 0
    assert price.mean() == pytest.approx(2.0, rel=0.02)
    assert np.log(price).std() == pytest.approx(0.1, rel=0.1)
    assert np.abs(np.diff(np.log(price))).mean() < 0.02


def test_what_cannot_be_is_refused():
    for wrong in (lambda: Regime(0, 1, 1), lambda: Weather(nodes=0), lambda: Weather(together=1.1), lambda: spot("a", 0, 60, rng())):
        with pytest.raises(ValueError, match=r"above 0|from 1"):
            wrong()
