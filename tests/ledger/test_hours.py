"""Spans of time cut into days, hours and moments: every microsecond in exactly one piece."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlray.ledger.hours import BEGIN, DAY_US, END, HOUR_US, Piece, pieces

UNITS = {"days": DAY_US, "hours": HOUR_US, "moments": 1}


def spans(found: tuple[Piece, ...]) -> list[tuple[int, int]]:
    return sorted((piece.low * UNITS[piece.grain], piece.high * UNITS[piece.grain]) for piece in found)


@given(st.integers(-3 * DAY_US, 9 * DAY_US), st.integers(0, 9 * DAY_US), st.booleans())
def test_pieces_cover_a_span_once(low: int, length: int, days: bool):
    found = spans(pieces(low, low + length, days))
    edges = [low, *(high for _, high in found)]
    assert [start for start, _ in found] == edges[:-1]
    assert edges[-1] == low + length


def test_a_long_span_is_answered_by_days_hours_and_two_ends():
    found = pieces(HOUR_US // 2, 40 * DAY_US + 3 * HOUR_US + 1)
    assert set(found) == {
        Piece("moments", HOUR_US // 2, HOUR_US),
        Piece("hours", 1, 24),
        Piece("days", 1, 40),
        Piece("hours", 960, 963),
        Piece("moments", 963 * HOUR_US, 963 * HOUR_US + 1),
    }
    assert pieces(BEGIN, END) == (Piece("days", BEGIN // DAY_US, END // DAY_US),)
    assert pieces(5, 5) == ()
