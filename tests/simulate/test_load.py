"""Loads: shapes whose mean is what was asked for, and records that are read step by step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlray.simulate.load import SHAPES, Load, shape
from mlray.simulate.store import read_load


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_has_the_mean_that_was_asked_for(name: str):
    found = shape(name, 40.0, 28, np.random.default_rng(3))
    assert found.rates.mean() == pytest.approx(40.0, rel=0.001 if name != "bursty" else 0.15) and found.rates.min() >= 0


def test_a_day_is_busiest_at_two_and_a_weekend_is_quiet():
    day = shape("diurnal", 10.0, 1, np.random.default_rng(0)).rates
    assert np.argmax(day) == 14 * 60 and day.max() == pytest.approx(17.5)
    week = shape("weekly", 10.0, 7, np.random.default_rng(0)).rates.reshape(7, -1).mean(axis=1)
    assert week[5] == week[6] == pytest.approx(4.0) and week[0] == pytest.approx(12.4)


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=20), st.floats(0.5, 300), st.floats(0.5, 300), st.integers(1, 50))
def test_ticks_of_any_length_hold_as_many_requests(rates: list[float], step_s: float, tick_s: float, count: int):
    """A load that ends begins anew, so as many whole rounds as fit hold the same sum each."""
    load = Load(np.array(rates), step_s)
    whole = Load(np.tile(load.rates, int(count * tick_s / load.seconds) + 1), step_s)
    exact = np.interp(count * tick_s, np.arange(len(whole.rates) + 1) * step_s, np.concatenate(([0.0], np.cumsum(whole.rates * step_s))))
    assert load.ticks(count, tick_s).sum() * tick_s == pytest.approx(exact, rel=1e-6, abs=1e-6)


def test_a_rate_below_nothing_is_none():
    with pytest.raises(ValueError, match="0 or more"):
        Load(np.array([1.0, -1.0]), 60.0)


@pytest.mark.parametrize(
    "text", ["time,rps\n2026-01-05T00:00:00Z,3\n2026-01-05T00:05:00Z,5\n", "rps,time\n3,0\n5,300\n", "tick,tick_s,rps\n7,300,3\n8,300,5\n"]
)
def test_records_tell_their_steps_by_time_or_tick(tmp_path: Path, text: str):
    path = tmp_path / "load.csv"
    path.write_text(text)
    found = read_load(path)
    assert (found.rates.tolist(), found.step_s, found.name) == ([3.0, 5.0], 300.0, "load.csv")
