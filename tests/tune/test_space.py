from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlray.tune.space import Space, finest_step, params, start
from mlray.tune.spec import Real, Whole

SPACE: Space = {
    "rounds": Whole(low=20, high=320, log=True, start=20),
    "max_depth": Whole(low=3, high=10, start=4),
    "eta": Real(low=0.01, high=1.0, log=True, start=0.1),
}


def test_the_search_begins_at_the_written_starts():
    assert params(SPACE, start(SPACE)) == (("rounds", 20), ("max_depth", 4), ("eta", 0.1))


def test_halfway_on_a_logarithmic_axis_is_the_geometric_mean():
    assert dict(params(SPACE, (0.5, 0.5, 0.5))) == {"rounds": 80, "max_depth": 6, "eta": 0.1}


@given(st.tuples(*[st.floats(-0.5, 1.5)] * 3))
def test_every_point_gives_values_within_their_bounds(point):
    found = dict(params(SPACE, point))
    assert 20 <= found["rounds"] <= 320 and 3 <= found["max_depth"] <= 10 and 0.01 <= found["eta"] <= 1.0
    assert isinstance(found["rounds"], int) and isinstance(found["max_depth"], int)


def test_an_axis_without_a_start_begins_at_its_low_end():
    assert start({"a": Whole(low=2, high=4)}) == (0.0,)


def test_the_finest_step_is_a_share_of_the_diagonal():
    assert 0 < finest_step(SPACE) <= 0.05 * 3**0.5


@pytest.mark.parametrize(
    ("axis", "says"),
    [
        ({"low": 3, "high": 3}, "low .3. must be below high .3."),
        ({"low": 0, "high": 3, "log": True}, "log needs low .0. above 0"),
        ({"low": 1, "high": 3, "start": 4}, "start .4. is outside 1..3"),
    ],
)
def test_an_axis_that_cannot_be_searched_is_refused(axis, says):
    with pytest.raises(ValueError, match=says):
        Whole(**axis)
