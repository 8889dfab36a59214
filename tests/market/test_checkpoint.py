"""How often to write a checkpoint, and what lost work costs."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
import pytest

from mlray.market.checkpoint import every, hour_of_work, rework
from mlray.units import Price

PRICE = Price.parse("$0.97/h")


def test_youngs_interval_where_writing_is_quick():
    """sqrt(2 x 10 s x 4 h) = 536.7 s; Daly's next terms take the 10 s of writing off and add a third of a small part."""
    assert every(0.25, 10) == pytest.approx(sqrt(2 * 10 * 14400) - 10, rel=0.01)


def test_the_interval_is_where_an_hour_of_work_costs_least():
    """Found by trying: Daly's interval costs within a thousandth of the best of 4,000."""
    for per_hour, write_s in ((0.1, 5), (0.25, 60), (1.0, 60), (2.0, 300)):
        tried = np.geomspace(10, 1e5, 4000)
        best = min(hour_of_work(PRICE, per_hour, float(t), write_s).micros for t in tried)
        assert hour_of_work(PRICE, per_hour, every(per_hour, write_s), write_s).micros <= best * 1.001


def test_the_cost_is_that_of_work_that_is_lost_and_done_again():
    """Simulated: 200 hours of work in pieces, lost at random, each loss followed by a restart."""
    rng, per_hour, every_s, write_s, restart_s = np.random.default_rng(1), 1.0, 600.0, 30.0, 60.0
    paid = 0.0
    for _ in range(20_000):
        while (lost := rng.exponential(3600 / per_hour)) < every_s + write_s:
            paid += lost
            while (again := rng.exponential(3600 / per_hour)) < restart_s:
                paid += again
            paid += restart_s
        paid += every_s + write_s
    simulated = PRICE.per_hour.usd * paid / (20_000 * every_s)
    assert hour_of_work(PRICE, per_hour, every_s, write_s, restart_s).usd == pytest.approx(simulated, rel=0.02)


def test_rework_is_a_little_less_than_half_the_interval():
    assert 280 < rework(1.0, 600) < 300
    assert rework(1e-9, 600) == pytest.approx(300)
    assert rework(1.0, 600, restart_s=60) == rework(1.0, 600) + 60


def test_where_nothing_is_lost_nothing_is_written():
    assert every(0, 10) == inf and rework(0, 600) == 0
    assert hour_of_work(PRICE, 0, 600, 60).usd == pytest.approx(0.97 * 1.1)


def test_writing_that_takes_longer_than_a_life_is_done_once_a_life():
    assert every(10, 3600) == 360
