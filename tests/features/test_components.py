from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from mlray.features.components import Loadings

OF = ("a", "b", "c", "d")


def rows(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(1000, 300, count), rng.gamma(2, 5, count)
    return np.stack([a, b, a / 7 + rng.normal(0, 9, count), b - a / 100], axis=1).astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(20, 300), st.integers(0, 99))
def test_components_are_those_of_scikit_learn(components, count, seed):
    given = rows(count, seed)
    scaled = StandardScaler().fit_transform(given.astype(np.float64))
    witness = PCA(components, svd_solver="full").fit_transform(scaled)
    assert Loadings.fit(given, OF, components).apply(given) == pytest.approx(witness, abs=1e-4)


def test_one_row_gives_the_same_bits_as_among_a_thousand():
    given = rows(1000)
    given[::7, 1] = np.nan
    fitted = Loadings.fit(given, OF, 3)
    whole = fitted.apply(given)
    for place in range(0, 1000, 37):
        assert fitted.apply(given[place : place + 1]).tobytes() == whole[place : place + 1].tobytes()


def test_what_is_read_back_from_json_gives_the_same_bits():
    given = rows(200)
    fitted = Loadings.fit(given, OF, 2)
    again = Loadings.from_json(json.loads(json.dumps(asdict(fitted))))
    assert again == fitted and again.apply(given).tobytes() == fitted.apply(given).tobytes()
    assert again.names == ("pca.1", "pca.2")


def test_a_missing_value_counts_as_the_median_of_the_training_rows():
    given = rows(200)
    fitted = Loadings.fit(given, OF, 2)
    gap, middle = given[:1].copy(), given[:1].copy()
    gap[0, 1], middle[0, 1] = np.nan, np.median(given[:, 1])
    assert fitted.apply(gap) == pytest.approx(fitted.apply(middle), abs=1e-5)


def test_a_constant_column_and_too_few_rows():
    given = rows(50)
    given[:, 2] = 3
    assert np.isfinite(Loadings.fit(given, OF, 2).apply(given)).all()
    given[:, 2] = np.nan
    with pytest.raises(ValueError, match="column 'c' has no value in the training rows"):
        Loadings.fit(given, OF, 2)
    with pytest.raises(ValueError, match="1 training rows cannot have 2 components"):
        Loadings.fit(given[:1], OF, 2)
