from __future__ import annotations

import numpy as np
import pytest

from mlray.features import selection
from mlray.features.selection import select
from mlray.features.spec import Select

NAMES = ("noise", "signal", "carrier", "constant", "square")
CODED = np.array([False, False, True, False, False])


def rows(count: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """The label follows `signal`, the carrier, and the square of `square`, whose sign it does not follow."""
    rng = np.random.default_rng(1)
    made = rng.normal(0, 1, (count, 5)).astype(np.float32)
    made[:, 2], made[:, 3] = rng.integers(0, 4, count), 7
    labels = (made[:, 1] + 2 * (made[:, 2] == 1) + made[:, 4] ** 2 + rng.normal(0, 0.3, count) > 1.5).astype(np.float32)
    made[rng.random(count) < 0.1, 1] = np.nan
    made[rng.random(count) < 0.1, 2] = np.nan
    return made, labels


def test_mutual_information_keeps_what_tells_of_the_label_also_not_linearly_in_the_order_of_the_columns():
    assert select(*rows(), NAMES, CODED, Select(most=3), 7) == ("signal", "carrier", "square")


def test_an_f_test_sees_only_what_shifts_the_mean():
    given, labels = rows()
    numbers = given[:, [0, 1, 3, 4]]
    assert select(numbers, labels, ("noise", "signal", "constant", "square"), CODED[[0, 1, 3, 4]], Select(most=1, by="f_test"), 7) == (
        "signal",
    )


def test_variance_drops_the_constant_whatever_the_unit():
    given, labels = rows()
    spec = Select(most=4, by="variance")
    assert "constant" not in select(given, labels, NAMES, CODED, spec, 7)
    assert select(given * 1000, labels, NAMES, CODED, spec, 7) == select(given, labels, NAMES, CODED, spec, 7)


def test_most_above_what_there_is_keeps_all_and_a_column_without_values_comes_last():
    given, labels = rows()
    assert select(given, labels, NAMES, CODED, Select(most=9), 7) == NAMES
    given[:, 0] = np.nan
    given[:, 3] = np.random.default_rng(0).normal(0, 1, len(given))
    assert "noise" not in select(given, labels, NAMES, CODED, Select(most=4, by="variance"), 7)


def test_many_rows_are_ranked_by_every_so_manieth(monkeypatch):
    monkeypatch.setattr(selection, "MOST_ROWS", 1000)
    assert select(*rows(), NAMES, CODED, Select(most=3), 7) == ("signal", "carrier", "square")


@pytest.mark.parametrize("by", ["mutual_information", "variance"])
def test_the_same_seed_gives_the_same_features(by):
    spec = Select(most=2, by=by)
    assert select(*rows(), NAMES, CODED, spec, 7) == select(*rows(), NAMES, CODED, spec, 7)
