"""How far a column has moved, told from statistics alone."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest

from mlray.ingest import stats
from mlray.ingest.drift import distance

RNG = np.random.default_rng(7)
BEFORE = RNG.normal(0, 1, 20_000)
MEASURES: tuple[Literal["psi", "ks", "js"], ...] = ("psi", "ks", "js")


def column(values: Any) -> stats.Column:
    return stats.column(pa.chunked_array([pa.array(values)]), hidden=False)


@pytest.mark.parametrize("measure", MEASURES)
def test_the_same_distribution_is_near_and_a_moved_one_is_far(measure: Literal["psi", "ks", "js"]):
    near, far = (distance(column(BEFORE), column(RNG.normal(mean, 1, 20_000)), measure) for mean in (0, 1))
    assert distance(column(BEFORE), column(BEFORE), measure) == 0
    assert near is not None and far is not None and near < 0.05 < 0.25 < far


def test_the_kolmogorov_smirnov_distance_is_the_one_of_the_samples():
    from scipy.stats import ks_2samp

    now = RNG.normal(0.5, 1, 20_000)
    assert distance(column(BEFORE), column(now), "ks") == pytest.approx(ks_2samp(BEFORE, now).statistic, abs=0.02)


@pytest.mark.parametrize("measure", MEASURES)
def test_categories_and_missing_values_can_move_too(measure: Literal["psi", "ks", "js"]):
    few, other = column(["a"] * 90 + ["b"] * 10), column(["a"] * 10 + ["c"] * 90)
    missing = column(pa.array(["a"] * 45 + ["b"] * 5 + [None] * 50))
    for moved in (distance(few, other, measure), distance(few, missing, measure)):
        assert moved is not None and moved > 0.3


def test_a_thousand_categories_are_compared_by_their_buckets():
    many = [f"customer-{i % 1000}" for i in range(20_000)]
    same, moved = column(many[::-1]), column([f"client-{i % 1000}" for i in range(20_000)])
    assert (distance(column(many), same, "psi") or 0) < 0.01, "other rows of the same were chosen"
    assert (distance(column(many), moved, "psi") or 0) > 0.25
    assert (distance(column(many), column(["a"] * 100), "js") or 0) > 0.9, "counted by name now, in buckets before"


def test_what_cannot_be_compared_has_no_distance():
    hidden = stats.column(pa.chunked_array([["a"]]), hidden=True)
    assert distance(hidden, hidden, "psi") is None
    assert distance(column(["a"]), column([1]), "psi") is None
    assert distance(column(pa.array([], pa.int64())), column([1]), "psi") is None
