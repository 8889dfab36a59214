from __future__ import annotations

import pytest

from mlray.tune.trial import State
from mlray.tune.value import value_per_dollar
from tests.tune.test_judge import trial


def test_gains_that_halve_go_on_halving_and_the_nearest_report_pays_best():
    """0.70, then 0.74: the next report adds 0.04 x 0.04/0.20 = 0.008 for a tenth of a cent."""
    assert value_per_dollar(trial(0.70, 0.74), ()) == pytest.approx(0.008 / 0.001)


def test_twice_the_cost_is_half_the_value():
    cheap, dear = trial(0.70, 0.74), trial(0.70, 0.74, cost="$0.002")
    assert value_per_dollar(cheap, ()) == pytest.approx(2 * value_per_dollar(dear, ()))


def test_a_trial_behind_the_best_is_worth_only_what_lies_above_it():
    """One report, 0.5 -> 0.6: then 0.05, 0.025, ... more; two reports reach 0.675, a hundredth above a rival at 0.665."""
    behind = trial(0.60, rounds=30)
    assert value_per_dollar(behind, (trial(0.665, id="t2"),)) == pytest.approx(0.01 / 0.002)
    assert value_per_dollar(behind, (trial(0.70, id="t2"),)) == 0.0


def test_what_has_flattened_is_worth_less_than_what_still_climbs():
    flat, climbing = trial(0.75, 0.79, 0.791), trial(0.60, 0.70, 0.78, id="t2")
    assert value_per_dollar(flat, (climbing,)) < value_per_dollar(climbing, (flat,))


def test_nothing_is_expected_of_a_trial_without_a_report_or_without_rounds_left_or_without_gain():
    assert value_per_dollar(trial(), ()) == value_per_dollar(trial(None, None), ()) == 0.0
    assert value_per_dollar(trial(0.70, 0.74, rounds=20), ()) == 0.0
    assert value_per_dollar(trial(0.70, 0.70), ()) == 0.0


def test_being_paused_changes_nothing_of_its_value():
    assert value_per_dollar(trial(0.70, 0.74, state=State.PAUSED), ()) == value_per_dollar(trial(0.70, 0.74), ())


def test_gains_that_grow_are_not_expected_to_grow_for_ever():
    assert value_per_dollar(trial(0.51, 0.55, 0.65, rounds=10_000), ()) <= 0.1 * 0.95 / 0.001
