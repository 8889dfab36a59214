"""Random entries for tests: few names, so that groups repeat, over some days, so that hours and days fill."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from mlray.ledger.entry import Cause, Charge, Entry, Reservation, Return, Usage
from mlray.units import Money

START = datetime(2026, 11, 20, 22, tzinfo=UTC)
moments = st.builds(
    lambda hours, micros: START + timedelta(hours=hours, microseconds=micros),
    st.integers(0, 60),
    st.sampled_from([0, 1, 3_599_999_999]) | st.integers(0, 3_600_000_000),
)
tags = st.sampled_from(["a", "b"]).map(lambda team: (("team", team),)) | st.just(())
causes = st.builds(
    Cause,
    st.sampled_from(["tune", "serve", "cluster"]),
    st.sampled_from(["j1", "j2"]),
    st.sampled_from(["flights", "weather"]),
    st.sampled_from(["", "r1", "r2"]),
    st.sampled_from(["", "t1", "t2"]),
    st.sampled_from(["ada", "bob"]),
    tags,
)
usages = st.builds(
    Usage,
    st.sampled_from(["small", "big"]),
    st.sampled_from(["spot", "on-demand"]),
    st.floats(0, 1e5),
    st.sampled_from([1.0, 0.25, 1 / 3]),
    st.sampled_from(["", "n1", "n2"]),
    st.sampled_from(["running", "idle"]),
    st.just("c1"),
    st.sampled_from([0.0, 0.123]),
)
monies = st.integers(-(10**6), 10**7).map(Money)
charges = st.builds(Charge, st.just(""), moments, monies, causes, usages, st.none() | monies, st.sampled_from(["", "lost", "idle"]))


@st.composite
def ledgers(draw: st.DrawFn, most: int = 25) -> tuple[Entry, ...]:
    """Charges with keys of their own, and reservations of runs of which some were returned."""
    found: list[Entry] = []
    for number, charge in enumerate(draw(st.lists(charges, max_size=most))):
        found.append(Charge(f"c{number}", charge.at, charge.amount, charge.cause, charge.usage, charge.list_amount, charge.waste))
    for number, (cause, at, amount, hours) in enumerate(draw(st.lists(st.tuples(causes, moments, monies, st.integers(1, 50)), max_size=4))):
        until = None if hours == 50 else at + timedelta(hours=hours)
        found.append(Reservation(f"r{number}", at, amount, cause, until))
        if draw(st.booleans()):
            found.append(Return(f"x{number}", at, f"r{number}", cause))
    return tuple(draw(st.permutations(found)))
