"""Forecasts: nights stay nights, the interval holds what it says, and too little is called too little."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mlray.ledger.forecast import forecast
from mlray.units import ZERO, Money

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def days(count: int, noise: float, seed: int = 1, weekend: float = 1.0) -> list[Money]:
    """Dollars by the hour up to MIDNIGHT: four from nine to five and one else, days that vary."""
    draw = np.random.default_rng(seed)
    found = []
    for back in range(count, 0, -1):
        level = float(np.exp(draw.normal(0, noise))) * (weekend if (MIDNIGHT - back * DAY).weekday() >= 5 else 1.0)
        found += [Money.dollars(round(level * (4 if 9 <= hour < 17 else 1), 6)) for hour in range(24)]
    return found


def test_the_same_day_again_costs_the_same():
    said = forecast(days(5, 0.0), MIDNIGHT, MIDNIGHT + DAY, rng())
    assert said.expected == said.low == said.high == Money.parse("$48")
    assert said.history_hours == 120
    assert said.method.startswith("bootstrap of 5.0 days")


def test_what_is_left_of_a_day_is_forecast_by_its_hours():
    night = forecast(days(5, 0.0), MIDNIGHT, MIDNIGHT + timedelta(hours=8, minutes=30), rng())
    assert night.expected == Money.parse("$8.50")
    evening = [*days(5, 0.0), *[Money.parse("$1")] * 9, *[Money.parse("$4")] * 7]
    assert forecast(evening, MIDNIGHT + timedelta(hours=16, minutes=15), MIDNIGHT + DAY, rng()).expected == Money.parse("$10")


def test_four_weeks_tell_weekends_apart():
    said = forecast(days(28, 0.0, weekend=0.25), MIDNIGHT, MIDNIGHT + 7 * DAY, rng())
    assert said.expected == Money.parse("$264")  # five days of $48, two of $12
    assert "same kind of day" in said.method


def test_too_little_history_gives_no_interval_and_none_gives_nothing():
    short = forecast(days(2, 0.0), MIDNIGHT, MIDNIGHT + DAY, rng())
    assert (short.expected, short.low, short.high) == (Money.parse("$48"), None, None)
    assert "an interval needs 72" in short.method
    none = forecast([ZERO] * 500, MIDNIGHT, MIDNIGHT + DAY, rng())
    assert (none.expected, none.history_hours) == (None, 0)
    assert forecast([*[ZERO] * 500, Money(7)], MIDNIGHT, MIDNIGHT + DAY, rng()).history_hours == 1


def test_nothing_ahead_costs_nothing():
    assert forecast(days(9, 0.3), MIDNIGHT, MIDNIGHT, rng()).expected == ZERO


@pytest.mark.parametrize("known", [7, 14, 28])
def test_four_times_in_five_the_interval_holds_what_comes(known: int):
    inside = 0
    for seed in range(200):
        every = days(known + 3, 0.4, seed)
        now, real = MIDNIGHT - 3 * DAY, sum(m.micros for m in every[known * 24 :])
        said = forecast(every[: known * 24], now, MIDNIGHT, rng())
        assert said.low is not None and said.high is not None
        inside += said.low.micros <= real <= said.high.micros
    assert 144 <= inside <= 180, inside  # 160 are promised
