from __future__ import annotations

import math

import numpy as np
import pytest
import xgboost as xgb
from hypothesis import given, settings
from hypothesis import strategies as st

from mlray.tune.metrics import auc, logloss, threshold


def test_two_of_three_pairs_in_order_are_an_auc_of_two_thirds():
    assert auc(np.array([0, 1, 0, 0]), np.array([0.1, 0.4, 0.9, 0.2])) == pytest.approx(2 / 3)


def test_equal_scores_count_half():
    assert auc(np.array([0, 1]), np.array([0.5, 0.5])) == 0.5


def test_one_kind_of_row_alone_has_no_auc():
    assert math.isnan(auc(np.array([1, 1]), np.array([0.1, 0.2])))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=2, max_size=60))
def test_auc_and_logloss_equal_those_of_xgboost(rows):
    labels = np.array([float(yes) for yes, _ in rows])
    scores = np.array([(score + 1) / 22 for _, score in rows], dtype=np.float32)
    matrix = xgb.DMatrix(np.zeros((len(rows), 1)), labels, base_margin=np.log(scores / (1 - scores)))
    booster = xgb.Booster({"objective": "binary:logistic", "base_score": 0.5, "eval_metric": ["auc", "logloss"], "nthread": 1}, [matrix])
    said = dict(part.split(":") for part in booster.eval(matrix, "x").split("\t")[1:])
    assert logloss(labels, scores) == pytest.approx(float(said["x-logloss"]), abs=1e-5)
    if 0 < labels.sum() < len(rows):
        assert auc(labels, scores) == pytest.approx(float(said["x-auc"]), abs=1e-6)


def test_the_threshold_has_the_best_f1():
    labels, scores = np.array([0, 0, 1, 1, 1]), np.array([0.1, 0.6, 0.5, 0.7, 0.8])
    assert threshold(labels, scores) == 0.5  # 3 of 3 found, 1 false: F1 0.857; from 0.7 on 0.8


def test_without_a_positive_row_the_threshold_is_a_half():
    assert threshold(np.array([0, 0]), np.array([0.1, 0.2])) == 0.5
