from __future__ import annotations

import pytest

from mlray.tune.spec import Splits
from tests.tune.sealed import job


def test_a_job_reads_the_three_splits_unless_it_names_others():
    assert job().splits == Splits(train=("train",), validation=("validation",), test=("test",))
    folds = job(splits={"train": ("fold-1", "fold-2"), "validation": ("fold-0",)}).splits
    assert (folds.train, folds.validation, folds.test) == (("fold-1", "fold-2"), ("fold-0",), ("test",))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"splits": {"train": ("fold-0",), "validation": ("fold-0",)}}, "fold-0 is named twice: rows that are trained on measure nothing"),
        ({"splits": {"train": ()}}, "train"),
        ({"imbalance": {"weights": "balanced"}, "fixed": {"scale_pos_weight": 5}}, "both weigh label 1: keep one"),
    ],
)
def test_a_job_that_contradicts_itself_is_refused(change, says):
    with pytest.raises(ValueError, match=says):
        job(**change)
