"""What stands for a balance, against a plain fold of all entries, on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from mlray.ledger.entry import Asked, Cause, Charge, Entry, Reservation, Return
from mlray.ledger.store import LedgerStore
from tests.ledger.made import ledgers, moments
from tests.ledger.test_sums import appended, made

Folds = dict[tuple[object, ...], tuple[int, datetime]]


def of_team_a(cause: Cause) -> bool:
    return ("team", "a") in cause.tags


def plain(entries: tuple[Entry, ...], asked: Asked) -> tuple[set[Reservation], Folds]:
    """The definition, over every entry."""
    ended = {e.reservation for e in entries if isinstance(e, Return)}
    held = {e for e in entries if isinstance(e, Reservation) and e.key not in ended and (e.until is None or e.until > asked.cuts[0])}
    held = {e for e in held if asked.counts(e.cause)}
    runs = {e.cause.run for e in held}
    folds: Folds = {}
    for e in entries:
        place = sum(cut <= e.at for cut in asked.cuts)
        if isinstance(e, Charge) and asked.counts(e.cause) and (place or e.cause.run in runs):
            c = e.cause
            key = (c.policy, c.stage, c.job, c.run if c.run in runs else "", c.owner, c.tags, place)
            micros, last = folds.get(key, (0, e.at))
            folds[key] = (micros + e.amount.micros, max(last, e.at))
    return held, folds


def seen(entries: tuple[Entry, ...], asked: Asked) -> tuple[set[Reservation], Folds]:
    charges = [e for e in entries if isinstance(e, Charge)]
    folds: Folds = {
        (c.cause.policy, c.cause.stage, c.cause.job, c.cause.run, c.cause.owner, c.cause.tags, sum(cut <= c.at for cut in asked.cuts)): (
            c.amount.micros,
            c.at,
        )
        for c in charges
    }
    assert len(folds) == len(charges) == len({c.key for c in charges})
    return {e for e in entries if isinstance(e, Reservation)}, folds


@settings(max_examples=40)
@given(ledgers(), st.lists(moments, min_size=1, max_size=3).map(sorted).map(tuple), st.sampled_from([None, of_team_a]))
def test_what_stands_is_a_fold_of_all_entries(entries, cuts, governs):
    store, asked = LedgerStore(appended(entries, ())), Asked("flights", cuts, governs)
    assert seen(store.standing(asked.policy, cuts, governs), asked) == plain(store.entries(), asked)


def test_a_hundred_runs_stand_as_one_line(url: str):
    store, charges = LedgerStore(url), made()
    for number in range(20):
        store.append(*(Charge(f"{c.key}/{number}", c.at, c.amount, c.cause, c.usage) for c in charges))
    cut = charges[0].at + timedelta(hours=30)
    asked = Asked("flights", (cut, cut + timedelta(minutes=61)), None)
    standing = store.standing("flights", asked.cuts)
    assert seen(standing, asked) == plain(store.entries(), asked)
    assert len(standing) < 40


def test_a_return_before_its_reservation_leaves_nothing_open(url: str):
    store, cause = LedgerStore(url), Cause("tune", "j", "flights", "r")
    now = made()[0].at
    store.append(Return("x", now, "r", cause))
    store.append(Reservation("r", now, made()[0].amount, cause), Reservation("open", now, made()[0].amount, cause))
    assert [e.key for e in store.standing("flights", now)] == ["open"]
    store.append(Return("y", now, "open", cause))
    assert store.standing("flights", now) == ()
