"""The sums of hours and days against the entries themselves, on SQLite and PostgreSQL: they can never disagree."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from mlray.database import connect
from mlray.errors import StoreError
from mlray.ledger.entry import Cause, Charge, Entry, Reservation, Usage
from mlray.ledger.receipt import GROUPS, Receipt, receipt
from mlray.ledger.store import LedgerStore
from mlray.units import Money
from tests.ledger.made import START, ledgers, moments

FOLDER = tempfile.TemporaryDirectory()  # gone when the run ends
NAMES = (*GROUPS, "team")
SUMMED = "COUNT(*), SUM(micros), SUM(COALESCE(list_micros, 0)), SUM(CASE WHEN list_micros IS NULL THEN 0 ELSE micros END), \
COUNT(list_micros), SUM(seconds_us), SUM(node_us), SUM(nanos), MAX(at_us)"
KEPT = "charges, micros, list_micros, listed_micros, listed, seconds_us, node_us, nanos, last_us"


def disagreements(url: str) -> list[tuple[int, ...]]:
    """Rows that only the sums, or only the entries added up anew, have."""
    odd: set[tuple[int, ...]] = set()
    with connect(url).connect() as connection:
        for table, unit in (("ledger_hours", 3_600_000_000), ("ledger_days", 86_400_000_000)):
            kept = connection.execute(text(f"SELECT start, grp, {KEPT} FROM {table}")).all()
            anew = f"SELECT at_us / {unit}, grp, {SUMMED} FROM ledger_entries WHERE kind = 'charge' GROUP BY 1, 2"
            summed = connection.execute(text(anew)).all()
            odd |= {tuple(map(int, row)) for row in kept} ^ {tuple(map(int, row)) for row in summed}
    return sorted(odd)


def rounded(bill: Receipt) -> list[tuple[object, ...]]:
    return [
        (
            row.group,
            row.amount,
            row.savings,
            row.lost,
            row.idle,
            row.charges,
            round(row.seconds, 4),
            round(row.node_seconds, 4),
            round(row.amount_of, 6),
        )
        for row in bill.rows
    ]


def appended(entries: Iterable[Entry], cuts: Iterable[int]) -> str:
    """In several batches, of which each repeats what was in the one before."""
    folder = tempfile.mkdtemp(dir=FOLDER.name)
    store, known = LedgerStore(f"sqlite:///{folder}/ledger.db"), tuple(entries)
    edges = [0, *sorted(min(cut, len(known)) for cut in cuts), len(known)]
    for before, start, end in zip([0, *edges], edges, edges[1:], strict=False):
        store.append(*known[before:end], *known[start:end])
    return f"sqlite:///{folder}/ledger.db"


spans = st.tuples(st.none() | moments, st.none() | moments)
asked = st.tuples(
    st.lists(st.sampled_from(NAMES), max_size=3, unique=True).map(tuple),
    st.dictionaries(st.sampled_from(["stage", "team", "run", "day"]), st.sampled_from(["tune", "a", "", "r1", "2026-11-21"]), max_size=2),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(ledgers(), st.lists(st.integers(0, 25), max_size=2), spans, st.lists(asked, min_size=3, max_size=3))
def test_sums_are_what_the_entries_add_up_to(entries, cuts, span, questions):
    url = appended(entries, cuts)
    assert disagreements(url) == []
    store = LedgerStore(url)
    for by, where in questions:
        assert rounded(store.sums(span[0], span[1], by, where)) == rounded(receipt(store.entries(None, *span), by, where))


def test_one_bill_by_every_name_on_every_database(url: str):
    store, entries = LedgerStore(url), made()
    store.append(*entries)
    assert disagreements(url) == []
    inside = (START + timedelta(hours=1, minutes=30), START + timedelta(hours=55, seconds=1))
    for name in NAMES:
        assert rounded(store.sums(*inside, (name,))) == rounded(receipt(store.entries(None, *inside), (name,)))
    assert store.sums(by=()).total == receipt(entries).total


def made() -> tuple[Charge, ...]:
    """Two hundred charges over three days, from few names."""

    def one(i: int) -> Charge:
        cause = Cause("tune" if i % 3 else "serve", f"j{i % 4}", "flights", f"r{i % 5}", f"t{i % 7}", "ada", (("team", "ab"[i % 2]),))
        usage = Usage(f"type{i % 2}", "spot", 60.0 + i, 0.5, f"n{i % 6}", cluster="c")
        listed = Money(1500 + i) if i % 2 else None
        return Charge(f"k{i}", START + timedelta(minutes=20 * i), Money(1000 + i), cause, usage, listed, ("", "lost", "idle")[i % 3])

    return tuple(map(one, range(200)))


def test_a_batch_that_is_refused_leaves_no_sum(url: str):
    store, entries = LedgerStore(url), made()
    store.append(*entries[:3])
    other = Reservation("k1", START, entries[1].amount, entries[1].cause)
    with pytest.raises(StoreError, match="ledger key k1 stands for another event: kind 'charge' -> 'reservation'"):
        store.append(*entries[3:9], other)
    assert disagreements(url) == []
    assert store.sums(by=()).whole.charges == 3


def test_a_sum_that_is_wrong_is_found(url: str):
    store = LedgerStore(url)
    store.append(*made()[:5])
    with connect(url).begin() as connection:
        connection.execute(text("UPDATE ledger_hours SET micros = micros + 1 WHERE start = (SELECT MIN(start) FROM ledger_hours)"))
    assert len(disagreements(url)) >= 2  # the row as it is, and as it should be


def test_no_time_at_all_has_no_bill(url: str):
    store = LedgerStore(url)
    store.append(*made())
    assert store.sums(START, START, ("stage",)).rows == ()
    assert store.sums(START, START, ("item",)).rows == ()
