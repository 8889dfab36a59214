from __future__ import annotations

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE

from mlray.features import smote
from mlray.features.smote import synthesise

NUMBERS = np.array([False, False])
CODED = np.array([False, False, True])


def numbers(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.normal(1000, 300, count), rng.gamma(2, 5, count)], axis=1).astype(np.float32)


def test_a_new_row_lies_between_two_rare_rows():
    given = numbers(60)
    rare = np.arange(60) < 20
    for row in synthesise(given, rare, 50, 3, NUMBERS, 7):
        ends = given[rare].astype(np.float64)
        pairs = ends[:, None] + (ends[None, :] - ends[:, None]) * np.linspace(0, 1, 401)[:, None, None, None]
        assert np.abs((pairs - row) / given.std(axis=0)).sum(axis=-1).min() < 0.02


def test_scaled_rows_without_gaps_become_what_the_library_makes_of_them():
    given = numbers(80)
    given = ((given - np.median(given, axis=0)) / given.std(axis=0)).astype(np.float32)
    rare = np.arange(80) < 30
    alone = np.concatenate([given[rare], given[:1]])
    made, _ = SMOTE(sampling_strategy={1: 50}, k_neighbors=5, random_state=7).fit_resample(alone, [1] * 30 + [0])
    assert synthesise(given, rare, 20, 5, NUMBERS, 7) == pytest.approx(made[31:], abs=1e-4)


def test_the_unit_of_a_column_does_not_choose_the_neighbours():
    given, rare = numbers(80), np.arange(80) < 30
    metres = given * np.array([1000, 1], np.float32)
    made, far = synthesise(given, rare, 40, 5, NUMBERS, 7), synthesise(metres, rare, 40, 5, NUMBERS, 7)
    assert far / np.array([1000, 1]) == pytest.approx(made, rel=1e-3)


def test_categories_of_new_rows_are_categories_there_are_and_gaps_are_as_frequent_as_among_rare_rows():
    rng = np.random.default_rng(3)
    given = np.concatenate([numbers(4000), rng.choice([0, 1, 5], 4000)[:, None]], axis=1).astype(np.float32)
    given[rng.random(4000) < 0.3, 1] = np.nan
    given[rng.random(4000) < 0.5, 2] = np.nan
    rare = np.arange(4000) < 1000
    made = synthesise(given, rare, 3000, 5, CODED, 7)
    assert made.dtype == np.float32 and made.shape == (3000, 3)
    assert set(np.unique(made[~np.isnan(made[:, 2]), 2])) <= {0, 1, 5}
    assert np.isnan(made[:, 2]).any()
    assert np.isnan(made[:, 1]).mean() == pytest.approx(np.isnan(given[rare, 1]).mean(), abs=0.04)
    assert not np.isnan(made[:, 0]).any()


def test_a_column_that_is_missing_everywhere_stays_missing():
    given = numbers(40)
    given[:, 1] = np.nan
    made = synthesise(given, np.arange(40) < 15, 20, 3, NUMBERS, 7)
    assert np.isnan(made[:, 1]).all() and not np.isnan(made[:, 0]).any()


def test_rows_made_in_several_lots_are_as_many_and_all_different(monkeypatch):
    given, rare = numbers(80), np.arange(80) < 30
    monkeypatch.setattr(smote, "MOST_CELLS", 5 * 2 * 7)
    made = synthesise(given, rare, 50, 5, NUMBERS, 7)
    assert len(np.unique(made, axis=0)) == 50
