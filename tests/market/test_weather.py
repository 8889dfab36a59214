"""The long-run statistics of a market, by hand."""

from __future__ import annotations

import pytest

from mlray.market.weather import DAY, HOUR, Regime, Weather


def test_one_regime_has_the_mean_stays_of_that_regime():
    even = Regime(6 * HOUR, 2 * HOUR, DAY)
    weather = Weather(even, even)
    assert [weather.share, weather.up_s, weather.down_s] == pytest.approx([0.75, 6 * HOUR, 2 * HOUR])


def test_two_regimes_share_the_time_and_their_change_brings_losses():
    """Half the time 9 of 10 hours up, half 1 of 10: share 1/2. In 200 h: 10 + 10 losses inside, and 0.9 x 0.9 + 0.1 x 0.1 between."""
    calm, rough = Regime(9 * HOUR, HOUR, 100 * HOUR), Regime(HOUR, 9 * HOUR, 100 * HOUR)
    weather = Weather(calm, rough)
    assert weather.share == pytest.approx(0.5)
    assert weather.losses_per_s * 200 * HOUR == pytest.approx(20.82)
    assert weather.up_s == weather.down_s == pytest.approx(100 / 20.82 * HOUR)


@pytest.mark.parametrize("wrong", [{"nodes": 0}, {"together": 1.5}, {"price": 0.0}, {"swing": -1.0}, {"memory_s": 0.0}])
def test_what_cannot_be_is_refused_with_its_value(wrong: dict[str, float]):
    name, value = next(iter(wrong.items()))
    with pytest.raises(ValueError, match=f"{name.removesuffix('_s')} {value:g}"):
        Weather(**wrong)  # type: ignore[arg-type]
