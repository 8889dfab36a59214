"""The ledger in memory answers as the one in the database: the same entries, the same balances."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlray.errors import StoreError
from mlray.ledger.balance import balance, since
from mlray.ledger.entry import Cause, Charge, Entry, Reservation, Return, Usage
from mlray.ledger.store import LedgerStore
from mlray.policy.match import governs_cause
from mlray.simulate.book import Book
from mlray.units import Money
from tests.simulate.scenes import policy

START = datetime(2026, 1, 5, tzinfo=UTC)
POLICY = policy(money={"amount": "$5", "every": "1d", "stages": {"tune": "20%"}, "rate": "$3/h", "carry_over": "50%"})
CAUSES = (
    Cause("serve", "flights", "flights", "flights-1"),
    Cause("tune", "flights-tune", "flights", "tune-1", tags=(("team", "travel"),)),
    Cause("tune", "flights-tune", "flights", "tune-2"),
    Cause("ingest", "flights-in", "other", "in-1"),
    Cause("ingest", "clicks-in", "other", "in-2"),
)
EVENTS = st.lists(
    st.tuples(st.integers(0, 60 * 60), st.sampled_from(range(len(CAUSES))), st.integers(1, 900_000), st.sampled_from("ccccrx")), max_size=25
)


def entries(events: list[tuple[int, int, int, str]]) -> list[Entry]:
    """Charges and reservations in the order of their making, which is not that of their instants; each run reserves once."""
    out: list[Entry] = []
    for number, (minute, place, micros, kind) in enumerate(events):
        at, cause = START + timedelta(minutes=minute), CAUSES[place]
        key = f"{cause.run}/reserved"
        reserved = any(entry.key == key for entry in out)
        if kind == "r" and not reserved:
            out.append(Reservation(key, at, Money(micros), cause))
        elif kind == "x" and reserved:
            out.append(Return(f"{number}/returned", at, key, cause))
        else:
            out.append(Charge(f"{number}", at, Money(micros), cause, Usage("spot", "spot", 60.0)))
    return out


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EVENTS, st.integers(0, 60 * 60 + 120))
def test_balances_are_those_of_the_database(tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, int, int, str]], minute: int):
    book, store = Book(), LedgerStore(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/mlray.db")
    made, now = entries(events), START + timedelta(minutes=minute)
    for ledger in (book, store):
        ledger.append(*made)
        ledger.append(*made[:3])  # once more
    asked = (POLICY.name, since(POLICY.budget, now), partial(governs_cause, POLICY))
    here, there = (balance(POLICY.budget, ledger.standing(*asked), now) for ledger in (book, store))
    assert (here.spent, here.reserved, here.burn, here.carried, here.hour) == (
        there.spent,
        there.reserved,
        there.burn,
        there.carried,
        there.hour,
    )
    assert {s.stage: (s.spent, s.reserved) for s in here.by_stage} == {s.stage: (s.spent, s.reserved) for s in there.by_stage}
    assert all(here.left("tune", run) == there.left("tune", run) for run in ("", "tune-1", "tune-2"))


def test_a_key_stands_for_one_event():
    book, charge = Book(), Charge("1", START, Money(5), CAUSES[0], Usage("spot", "spot", 60.0))
    book.append(charge)
    with pytest.raises(StoreError, match="ledger key 1 stands for another event"):
        book.append(Charge("1", START, Money(6), CAUSES[0], Usage("spot", "spot", 60.0)))


def test_items_are_charged_as_far_as_their_last_slice():
    book, cause = Book(), Cause("tune", "flights-tune", "flights", "tune-1", "t1")
    book.append(*(Charge(f"{i}", START + timedelta(minutes=i), Money(1), cause, Usage("spot", "spot", 60.0)) for i in (1, 2)))
    assert book.settle(["t1", "t2"], lambda known: [Charge("3", known["t1"].until, Money(1), cause, Usage("spot", "spot", 0.0))])
    (found,) = book.charged(["t1", "t2"]).values()
    assert (found.until, found.seconds) == (START + timedelta(minutes=2), 120.0)


def test_sums_are_kept_by_kind():
    book = Book()
    for i in range(3):
        book.append(Charge(f"{i}", START, Money(7), CAUSES[0], Usage("spot", "spot", 60.0, state="running" if i else "starting")))
    assert [(line.state, line.node_s, line.micros) for line in book.lines()] == [("running", 120.0, 14), ("starting", 60.0, 7)]
