from __future__ import annotations

import numpy as np
import pytest
import xgboost as xgb

from mlray.features.spec import Features, Imbalance
from mlray.features.transform import Transform
from mlray.tune import worker
from mlray.tune.fit import Data
from mlray.tune.spec import Splits
from mlray.vault.keyring import KeyId, WrappedKey
from mlray.vault.store import VaultAddress
from tests.tune.sealed import rows, seal

FEATURES = Features(number=("distance", "wind"), category=("carrier",), time=("when",))
PLAIN = Splits()


@pytest.fixture
def sealed(home) -> tuple[VaultAddress, str]:
    address, version = seal(home.root, scale=0.2)
    return address, version.digest


def data(sealed: tuple[VaultAddress, str], splits: Splits = PLAIN, imbalance: Imbalance | None = None, seed: int = 7) -> Data:
    """What a fresh worker of the search trains on."""
    worker._binned.cache_clear()
    transform = Transform.fit(rows(800, 0), FEATURES).to_json()
    key = WrappedKey(key=KeyId("k"), ciphertext=b"c")
    return worker._data(worker.Work("run", sealed[0], "toy", sealed[1], splits, "late", transform, imbalance, seed, key, (), 10, 1))


def numbers(matrix: xgb.DMatrix) -> bytes:
    return bytes(matrix.get_data().toarray().tobytes() + matrix.get_label().tobytes() + matrix.get_weight().tobytes())


@pytest.mark.parametrize("how", [{"resample": "smote"}, {"resample": "over", "weights": "balanced"}, {"resample": "under", "ratio": 0.9}])
def test_training_rows_are_balanced_and_validation_rows_are_as_they_were(sealed, how):
    plain, made = data(sealed), data(sealed, imbalance=Imbalance.model_validate(how))
    assert numbers(made.validation) == numbers(plain.validation)
    assert np.mean(plain.train.get_label()) < 0.4
    assert np.mean(made.train.get_label()) == pytest.approx(0.5, abs=0.03)
    assert (len(made.train.get_weight()) > 0) == ("weights" in how)


def test_a_worker_that_takes_over_trains_on_the_very_same_rows(sealed):
    smote = Imbalance(resample="smote", weights="balanced")
    first, after_a_loss, other_seed = data(sealed, imbalance=smote), data(sealed, imbalance=smote), data(sealed, imbalance=smote, seed=8)
    assert numbers(first.train) == numbers(after_a_loss.train) != numbers(other_seed.train)


def test_several_splits_are_read_one_after_the_other(sealed):
    joined = data(sealed, Splits(train=("validation", "test"), validation=("train",), test=("none",)))
    assert (joined.train.num_row(), joined.validation.num_row()) == (400, 800)
    assert joined.train.get_label().tolist()[:200] == data(sealed).validation.get_label().tolist()
