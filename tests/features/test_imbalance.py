from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from mlray.errors import SpecError
from mlray.features.imbalance import balance, check
from mlray.features.spec import Imbalance

CODED = np.array([False, False, True])


def rows(count: int, rare: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two numbers and a category of four, some missing; `rare` rows of label 1 among them."""
    rng = np.random.default_rng(seed)
    made = np.stack([rng.normal(1000, 300, count), rng.gamma(2, 5, count), rng.integers(0, 4, count)], axis=1).astype(np.float32)
    made[rng.random(count) < 0.2, 1] = np.nan
    made[rng.random(count) < 0.2, 2] = np.nan
    labels = np.zeros(count, np.float32)
    labels[rng.permutation(count)[:rare]] = 1
    return made, labels


@settings(max_examples=30, deadline=None)
@given(
    st.integers(40, 200), st.integers(8, 20), st.sampled_from(["over", "under", "smote"]), st.sampled_from([0.3, 0.5, 1.0]), st.booleans()
)
def test_a_ratio_is_reached_and_no_given_row_changes(count, rare, how, ratio, ones_are_rare):
    given, labels = rows(count, rare)
    labels = labels if ones_are_rare else 1 - labels
    before = given.copy()
    made = balance(given, labels, Imbalance(resample=how, ratio=ratio), CODED, 7)
    fewer, more = sorted(np.bincount(made.labels.astype(int)))
    if rare >= int(ratio * (count - rare)):
        assert made.rows is given and made.labels is labels
    elif how == "under":
        assert (fewer, more) == (rare, int(rare / ratio))
        assert {row.tobytes() for row in made.rows} <= {row.tobytes() for row in given}
    else:
        assert (fewer, more) == (int(ratio * (count - rare)), count - rare)
        assert made.rows[:count].tobytes() == before.tobytes() and (made.labels[:count] == labels).all()
    assert given.tobytes() == before.tobytes()


@pytest.mark.parametrize("how", ["over", "under", "smote"])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(how):
    given, labels = rows(300, 30)
    first, again, other = (balance(given, labels, Imbalance(resample=how), CODED, seed) for seed in (7, 7, 8))
    assert first.rows.tobytes() == again.rows.tobytes() and first.rows.tobytes() != other.rows.tobytes()


def test_over_repeats_rows_and_under_keeps_their_order():
    given, labels = rows(300, 30)
    over = balance(given, labels, Imbalance(resample="over"), CODED, 7)
    assert {row.tobytes() for row in over.rows[300:]} <= {row.tobytes() for row in given[labels == 1]}
    under = balance(given, labels, Imbalance(resample="under"), CODED, 7)
    places = {row.tobytes(): place for place, row in enumerate(given)}
    assert (np.diff([places[row.tobytes()] for row in under.rows]) > 0).all()


@given(st.integers(2, 500), st.integers(1, 499))
def test_balanced_weights_add_up_to_the_rows_half_for_each_label(count, rare):
    rare = min(rare, count - 1)
    given, labels = rows(count, rare)
    weights = balance(given, labels, Imbalance(weights="balanced"), CODED, 7).weights
    assert weights is not None and weights.dtype == np.float32
    assert weights.sum() == pytest.approx(count, rel=1e-5)
    assert weights[labels == 1].sum() == pytest.approx(count / 2, rel=1e-5)
    assert [weights[labels == label][0] for label in (0, 1)] == pytest.approx(
        compute_class_weight("balanced", classes=np.array([0, 1]), y=labels.astype(int)), rel=1e-6
    )


def test_written_weights_go_by_label_and_one_that_is_not_written_is_1():
    given, labels = rows(100, 10)
    weights = balance(given, labels, Imbalance(weights={"1": 5}), CODED, 7).weights
    assert weights is not None and weights.sum() == 90 + 50


def test_weights_are_of_the_rows_after_resampling():
    given, labels = rows(300, 30)
    made = balance(given, labels, Imbalance(weights="balanced", resample="under", ratio=0.5), CODED, 7)
    assert made.weights is not None and len(made.weights) == len(made.rows) == 90
    assert made.weights.sum() == pytest.approx(90)


@pytest.mark.parametrize(
    ("labels", "spec", "coded", "says"),
    [
        (np.zeros(9), Imbalance(weights="balanced"), CODED, "no training row has label 1"),
        (np.array([0] * 20 + [1] * 5), Imbalance(resample="smote"), CODED, "more than 5 rows of the rare label, and there are 5"),
        (np.array([0] * 20 + [1] * 9), Imbalance(resample="smote"), np.array([True]), "the model sees none: write resample: over"),
    ],
)
def test_what_cannot_be_balanced_is_told_from_the_labels(labels, spec, coded, says):
    with pytest.raises(ValueError, match=says):
        check(labels, spec, coded)


def test_without_the_library_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "imblearn", None)
    with pytest.raises(SpecError, match="resample: over needs imbalanced-learn, which is not installed") as refused:
        check(rows(20, 8)[1], Imbalance(resample="over"), CODED)
    assert refused.value.hint == "pip install 'mlray[learn]'"
    check(rows(20, 8)[1], Imbalance(weights="balanced"), CODED)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({}, "say weights, resample, or both"),
        ({"weights": "balanced", "ratio": 0.5}, r"ratio \(0.5\) needs resample"),
        ({"resample": "over", "neighbours": 3}, r"neighbours \(3\) needs resample: smote"),
        ({"weights": {"2": 1.0}}, "weights"),
        ({"weights": {"1": 0}}, "greater than 0"),
        ({"resample": "over", "ratio": 1.5}, "less than or equal to 1"),
    ],
)
def test_an_imbalance_that_says_nothing_or_too_much_is_refused(written, says):
    with pytest.raises(ValueError, match=says):
        Imbalance.model_validate(written)
