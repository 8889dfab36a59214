"""Who is let in, and what those who are not are told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mlray.access.permit import Caller
from mlray.access.spec import Action, Role
from mlray.access.token import RANDOM_BYTES, make, revoke
from mlray.serve.gate import Known, LetIn, Limits, TurnedAway, enter, too_large, too_many
from mlray.units import Duration, Memory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXT, RECORD = make(bytes(range(RANDOM_BYTES)), NOON, Duration(3600), Role.VIEWER, "ada")
KNOWN = Known({RECORD.id: RECORD}, NOON)
LIMITS = Limits(Memory(1 << 20), 100)


def status(authorization: str, known: Known = KNOWN, action: Action = Action.PREDICT, now: datetime = NOON) -> int:
    told = enter(authorization, action, "flights", known, now)
    return told.status if isinstance(told, TurnedAway) else 200


def test_a_bearer_of_a_known_token_is_let_in():
    assert enter(f"Bearer {TEXT}", Action.PREDICT, "flights", KNOWN, NOON) == LetIn(Caller(RECORD.id, "ada", Role.VIEWER))


def test_the_scheme_is_read_in_any_case():
    assert status(f"bearer {TEXT}") == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", TEXT, f"Basic {TEXT}", f"Bearer {TEXT[:-1]}", "Bearer mlr_x", "Bearer \x00"])
def test_anyone_else_is_401(header: str):
    assert status(header) == 401


def test_a_token_that_ended_is_401():
    assert status(f"Bearer {TEXT}", now=NOON + timedelta(hours=1), known=Known(KNOWN.records, NOON + timedelta(hours=1))) == 401
    assert status(f"Bearer {TEXT}", known=Known({RECORD.id: revoke(RECORD, NOON)}, NOON)) == 401


def test_a_role_that_may_not_is_403_with_the_role_it_takes():
    told = enter(f"Bearer {TEXT}", Action.DEPLOY, "flights", KNOWN, NOON)
    assert told == TurnedAway(403, "the role viewer may not deploy flights: it takes the role operator or above")


def test_nobody_is_let_in_on_records_older_than_five_minutes():
    assert status(f"Bearer {TEXT}", now=NOON + timedelta(minutes=5)) == 200
    assert status(f"Bearer {TEXT}", now=NOON + timedelta(minutes=5, seconds=1)) == 503


def test_a_body_one_byte_above_the_limit_is_413():
    assert too_large(1 << 20, LIMITS) is None
    assert too_large((1 << 20) + 1, LIMITS) == TurnedAway(413, "the body is above 1MiB, the most that is read")


def test_101_rows_where_100_are_allowed_is_413():
    assert too_many(100, LIMITS) is None
    assert too_many(101, LIMITS) == TurnedAway(413, "the request holds 101 rows, more than 100: send them in several requests")
