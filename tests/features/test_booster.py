"""Tests that XGBoost comes without scikit-learn, in a process of its own, and that scikit-learn can still be had beside it."""

import subprocess
import sys

ALONE = """
import sys
from mlray.features.booster import load_xgboost
xgboost = load_xgboost()
assert "sklearn" not in sys.modules and load_xgboost() is xgboost
assert xgboost.Booster and xgboost.DMatrix
import sklearn.decomposition
assert sklearn.decomposition.PCA
"""
BESIDE = "import sklearn; from mlray.features.booster import load_xgboost; assert load_xgboost().Booster"


def test_it_is_loaded_alone_and_scikit_learn_may_follow():
    subprocess.run([sys.executable, "-c", ALONE], check=True)


def test_where_scikit_learn_is_loaded_already_both_are_there():
    subprocess.run([sys.executable, "-c", BESIDE], check=True)
