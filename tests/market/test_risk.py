"""Losses learned from lives that ended and lives that go on."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlray.market.generate import spot
from mlray.market.risk import PRIOR, Lives, Prior, away, learn, one, quantile
from mlray.market.trace import Trace
from mlray.market.weather import HOUR, Regime, Weather


def trace(*nodes: int, tick_s: float = 3600.0) -> Trace:
    return Trace("a", tick_s, np.array(nodes))


def test_no_history_is_the_prior_and_never_no_risk():
    found = learn(Lives())
    assert [found.per_hour, found.recovery_s, found.losses] == [PRIOR.per_hour, PRIOR.recovery_s, 0]
    assert set(found.by_age) == {PRIOR.per_hour}
    assert 0 < found.low < found.per_hour < found.high
    assert found.survive(8 * HOUR) == pytest.approx(exp(-1))


def test_hours_without_a_loss_lower_the_risk_and_losses_raise_it():
    """One loss in eight hours is believed; after eight more hours without one it is one in sixteen."""
    calm = learn(one(8 * HOUR, lost=False))
    assert calm.per_hour == pytest.approx(1 / 16) and calm.losses == 0
    assert learn(one(8 * HOUR, lost=True)).per_hour == pytest.approx(2 / 16)


def test_a_life_that_goes_on_counts_with_its_hours_alone():
    found = one(HOUR, lost=False)
    assert sum(found.losses) == 0 and sum(found.hours) == pytest.approx(1)
    assert found.hours == pytest.approx((0.25, 0.5, 0.25, 0, 0, 0))


@pytest.mark.parametrize(("seconds", "span"), [(1, 0), (900, 0), (901, 1), (2700, 1), (7200, 2), (21600, 3), (21601, 4), (1e7, 4)])
def test_a_loss_is_booked_at_its_age(seconds: float, span: int):
    assert one(seconds, lost=True).losses.index(1.0) == span


def test_a_recording_counts_whole_lives_by_age_and_the_cut_ones_by_their_hours():
    """Up 2 h (begin not seen), down 1 h, up 3 h, down 2 h, up 1 h (goes on)."""
    found = Lives.of(trace(1, 1, 0, 1, 1, 1, 0, 0, 1))
    assert list(found.losses) == [0, 0, 0, 1, 0, 1]
    assert [sum(found.hours), found.hours[-1], found.returns, found.away_h] == [6, 2, 2, 3]


def test_each_node_of_a_zone_is_a_life():
    found = Lives.of(trace(2, 2, 1, 0, 2))
    assert sum(found.losses) == 2 and sum(found.hours) == 7 and found.returns == 2


def test_a_zone_that_never_had_a_node_tells_nothing():
    assert Lives.of(trace(0, 0, 0)) == Lives()


@given(st.lists(st.tuples(st.floats(1, 1e6), st.booleans()), max_size=20))
def test_what_is_seen_may_be_counted_in_any_order(seen: list[tuple[float, bool]]):
    total, backwards = Lives(), Lives()
    for (seconds, lost), (later, gone) in zip(seen, reversed(seen), strict=True):
        total += one(seconds, lost) + away(seconds, lost)
        backwards += one(later, gone) + away(later, gone)
    first, second = learn(total), learn(backwards)
    assert first.per_hour == pytest.approx(second.per_hour) and first.by_age == pytest.approx(second.by_age)
    assert sum(total.hours) == pytest.approx(sum(seconds for seconds, _ in seen) / HOUR)


@given(st.lists(st.tuples(st.floats(1, 1e5), st.booleans()), max_size=10), st.floats(0, 1e5), st.floats(0, 1e5), st.floats(0, 1e5))
def test_survival_falls_with_time_and_splits_at_any_moment(seen: list[tuple[float, bool]], a: float, b: float, age: float):
    found = learn(sum((one(*life) for life in seen), Lives()))
    assert 0 <= found.survive(a + b, age) <= found.survive(a, age) <= 1
    assert found.survive(a + b, age) == pytest.approx(found.survive(a, age) * found.survive(b, age + a))


def test_the_rate_of_a_known_market_is_found_and_its_bounds_hold_it():
    """A market without regimes loses each node once in 5.5 h of having it; the bounds hold the true rate as often as they say."""
    even = Regime(5.5 * HOUR, 0.5 * HOUR, 1e9)
    held = 0
    for seed in range(40):
        found = learn(Lives.of(spot("a", 2000, 60, np.random.default_rng(seed), Weather(even, even))))
        held += found.low <= 1 / 5.5 <= found.high
    assert held >= 35
    long = learn(Lives.of(spot("a", 200_000, 60, np.random.default_rng(1), Weather(even, even))))
    assert long.per_hour == pytest.approx(1 / 5.5, rel=0.1)
    assert long.recovery_s == pytest.approx(0.5 * HOUR, rel=0.1)
    assert long.by_age[0] > 1.5 * long.by_age[-1], "its lifetimes are Weibull: young nodes go sooner"


def test_the_chance_to_survive_is_the_share_that_did():
    weather = Weather(Regime(4 * HOUR, HOUR, 1e9), Regime(4 * HOUR, HOUR, 1e9))
    up = spot("a", 400_000, 60, np.random.default_rng(3), weather).up
    edges = np.flatnonzero(np.diff(up)) + 1
    lives = (np.diff(edges) * 60.0)[up[edges[:-1]]]
    found = learn(Lives.of(Trace("a", 60.0, up.astype(np.int64))))
    for hours in (0.25, 1, 4, 12):
        assert found.survive(hours * HOUR) == pytest.approx(float((lives > hours * HOUR).mean()), abs=0.05)


@pytest.mark.parametrize("shape", [1.0, 2.0, 5.0, 50.0])
def test_bounds_are_those_of_the_gamma_distribution(shape: float):
    drawn = np.random.default_rng(0).gamma(shape, size=400_000)
    for z, share in ((-1.96, 0.025), (0.0, 0.5), (1.96, 0.975)):
        assert (drawn < quantile(shape, z)).mean() == pytest.approx(share, abs=0.005 if shape > 1 else 0.013)


def test_a_stronger_belief_gives_way_more_slowly():
    lives = sum((one(HOUR, lost=True) for _ in range(10)), Lives())
    assert learn(lives, Prior(losses=10)).per_hour < learn(lives, Prior(losses=1)).per_hour
