"""What is learned of a spot market, and what is believed of it."""

from __future__ import annotations

import numpy as np
import pytest

from mlray.market.belief import Belief
from mlray.market.regimes import Regimes, Ups, ages_of, at_ticks, columns, learn, prior
from mlray.market.trace import Trace

TICK_S = 600.0


def market(stays: tuple[float, float], ticks: int, seed: int) -> Ups:
    """A market whose downs and ups last so many ticks in the mean."""
    rng = np.random.default_rng(seed)
    up: list[bool] = []
    state = True
    while len(up) < ticks:
        up += [state] * int(1 + rng.geometric(1 / stays[state]))
        state = not state
    return np.array(up[:ticks])


SCARCE, PLENTY = [market((60, 2), 2000, 1), market((50, 2), 2000, 2)], [market((2, 60), 2000, 3), market((2, 50), 2000, 4)]


@pytest.fixture(scope="module")
def regimes() -> Regimes:
    found = learn([*SCARCE, *PLENTY], TICK_S)
    assert found is not None
    return found


def test_ages_count_the_ticks_of_the_same_state():
    assert ages_of(np.array([True, True, False, False, False, True])).tolist() == [0, 1, 0, 1, 2, 0]


def test_columns_are_single_ticks_first_and_spans_of_hours_then():
    assert columns(600.0).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 36]
    assert columns(195.0).tolist()[9:] == [9, 14, 37, 111]


def test_a_trace_is_read_on_another_grid():
    trace = Trace("a", 300.0, np.array([1, 1, 0, 0, 1, 1]))
    assert at_ticks(trace, 600.0).tolist() == [True, False, True]
    assert at_ticks(trace, 150.0).tolist() == [True] * 4 + [False] * 4 + [True] * 4


def test_the_chain_of_every_regime_is_one_of_chances(regimes: Regimes):
    for found in (regimes, prior(TICK_S), prior(60.0)):
        assert found.chain().sum(axis=2) == pytest.approx(1.0)
        assert found.weights.sum() == pytest.approx(1.0)


def test_scarce_and_plentiful_markets_are_told_apart(regimes: Regimes):
    shares = regimes.share()
    assert shares.min() < 0.2 and shares.max() > 0.8


def test_how_often_a_constant_market_flips_is_found():
    found = learn([market((10, 10), 5000, 5)], TICK_S)
    assert found is not None
    mean = float(found.weights @ found.flips[:, 1, 5])
    assert 0.07 < mean < 0.14  # a stay is 1 + a geometric number of mean 10: afterwards one flip in ten


def test_nothing_is_learned_from_nothing():
    assert learn([], TICK_S) is None
    assert learn([np.ones(500, bool)], TICK_S) is None


def test_the_prior_spans_scarce_to_plenty_and_lets_young_states_end_sooner():
    known = prior(TICK_S)
    assert known.share()[0] < 0.2 and known.share()[-1] > 0.9
    assert (np.diff(known.flips, axis=2) <= 0).all()


def test_belief_moves_towards_plenty_when_spot_stays_and_back_when_it_goes(regimes: Regimes):
    for known in (regimes, prior(TICK_S)):
        fresh = Belief.fresh(known)
        shares = known.share()
        stayed = fresh.after([True] * 60)
        assert stayed.weights @ shares > fresh.weights @ shares
        gone = stayed.after([False] * 60)
        assert gone.weights @ shares < stayed.weights @ shares
        assert gone.weights.sum() == pytest.approx(1.0)


def test_belief_counts_how_long_a_state_has_lasted(regimes: Regimes):
    belief = Belief.fresh(regimes).after([True, True, True, False])
    assert (belief.up, belief.ticks, belief.place) == (False, 0, 0)
    assert belief.seen(False).place == 1
    assert belief.seen(True).place == len(regimes.ages)


def test_belief_forgets(regimes: Regimes):
    """After days without a flip another regime is still possible."""
    assert Belief.fresh(regimes).after([True] * 3000).weights.min() > 0
