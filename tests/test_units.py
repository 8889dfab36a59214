from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlray.units import ZERO, Duration, Memory, Money, Percent, Price, Range

MICROS = st.integers(-(10**15), 10**15)


@given(MICROS)
def test_money_prints_what_reads_back_to_the_micro_dollar(micros: int):
    assert Money.parse(str(Money(micros))) == Money(micros)


@given(st.integers(0, 10**12))
def test_a_price_prints_what_reads_back(micros: int):
    assert Price.parse(str(Price(Money(micros)))) == Price(Money(micros))


@given(st.integers(0, 10**9))
def test_a_duration_prints_what_reads_back_to_the_millisecond(milliseconds: int):
    duration = Duration(milliseconds / 1000)
    assert Duration.parse(str(duration)) == duration


@given(st.integers(0, 10_000))
def test_a_percentage_prints_what_reads_back_to_a_hundredth(hundredths: int):
    percent = Percent.parse(f"{hundredths / 100:g}%")
    assert Percent.parse(str(percent)) == percent


@given(st.integers(0, 2**50))
def test_memory_prints_what_reads_back(size: int):
    assert Memory.parse(str(Memory(size))) == Memory(size)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_range_prints_what_reads_back_and_clamps_into_itself(low: int, width: int):
    bounds = Range(low, low + width)
    assert Range.parse(str(bounds)) == bounds
    assert [bounds.clamp(v) for v in (low - 1, low, low + width + 1)] == [low, low, low + width]


@pytest.mark.parametrize(
    ("text", "micros"),
    [("$1.50", 1_500_000), ("$0", 0), ("$1,000", 10**9), ("$1_000.25", 1_000_250_000), ("-$0.000001", -1), (" $2 ", 2_000_000)],
)
def test_money_reads_what_people_write(text: str, micros: int):
    assert Money.read(text) == Money(micros)


@pytest.mark.parametrize(
    ("unit", "wrong"),
    [
        *((Money, wrong) for wrong in ("1.50", "$1.2345678", "$-1", "€5", "$", "$.5", "$1e3", "1.5 USD", "$१", 1.5, 2, True, None)),
        *((Price, wrong) for wrong in ("$1", "$1/d", "-$1/h", "1/h")),
        *((Duration, wrong) for wrong in ("5", "5 m", "1y", "-5s", "", "1h 30m", 5)),
        *((Percent, wrong) for wrong in ("60", "0.6", "101%", "-1%", "1e1%", 0.6)),
        *((Memory, wrong) for wrong in ("2", "2 GiB", "2Gb", "-1B", 2048)),
        *((Range, wrong) for wrong in ("1-4", "4..1", "1..", "..4", "1..4..9", 3)),
    ],
)
def test_what_is_no_amount_is_refused_with_an_example_of_one(unit: type[Money], wrong: object):
    with pytest.raises(ValueError, match="write"):
        unit.read(wrong)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1h30m", 5400), ("250ms", 0.25), ("1d", timedelta(days=1).total_seconds()), ("1.5h", 5400), ("1w", 604800)]
)
def test_durations_read_what_people_write(text: str, seconds: float):
    assert Duration.read(text).seconds == seconds


@pytest.mark.parametrize(
    ("money", "text"), [(Money(1_234_567_890), "$1,234.56789"), (Money(5), "$0.000005"), (-Money(1_500_000), "-$1.50"), (ZERO, "$0.00")]
)
def test_money_prints_cents_and_as_many_digits_as_it_needs(money: Money, text: str):
    assert str(money) == text


@given(MICROS, MICROS)
def test_money_adds_without_losing_a_micro_dollar(a: int, b: int):
    assert (Money(a) + Money(b) - Money(b)).micros == a
    assert (Money(a) < Money(b)) == (a < b)


@given(MICROS, st.decimals(-1000, 1000, places=4))
def test_money_scales_to_the_nearest_micro_dollar(micros: int, factor: Decimal):
    assert abs(Decimal((Money(micros) * factor).micros) - micros * factor) <= Decimal("0.5")


def test_half_a_micro_dollar_rounds_to_even():
    assert [(Money(m) * 0.5).micros for m in (1, 3, 5)] == [0, 2, 2]
    assert Money.dollars(0.1 + 0.2) == Money(300_000)


def test_a_share_of_a_node_costs_its_share_of_the_hour():
    assert Price.parse("$3.60/h").over(1800, share=0.5) == Money(900_000)
    assert Price.parse("$0.97/h").over(0) == ZERO


@given(st.integers(0, 10**8), st.lists(st.integers(0, 10**5), max_size=20))
def test_a_bill_in_pieces_differs_by_at_most_half_a_micro_dollar_a_piece(micros: int, pieces: list[int]):
    price = Price(Money(micros))
    whole, parts = price.over(sum(pieces)).micros, sum(price.over(piece).micros for piece in pieces)
    assert abs(whole - parts) <= (len(pieces) + 1) / 2


@given(st.integers(0, 10**9), st.integers(0, 10**7))
def test_whole_seconds_of_a_whole_node_are_rounded_as_all_others(micros: int, seconds: int):
    exact = (Decimal(micros) * seconds / 3600).to_integral_value(ROUND_HALF_EVEN)
    assert Price(Money(micros)).over(seconds) == Money(int(exact))


def test_no_two_units_are_equal():
    assert len({Money(5), Money(5), Memory(5), Duration(5)}) == 3
