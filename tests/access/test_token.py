"""Tokens: shown once, kept as a hash, ended by time or by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mlray.access.permit import Caller
from mlray.access.spec import Role
from mlray.access.token import RANDOM_BYTES, Unknown, check, make, revoke
from mlray.units import Duration

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXT, RECORD = make(bytes(range(RANDOM_BYTES)), NOON, Duration(3600), Role.VIEWER, "ada")
KNOWN = {RECORD.id: RECORD}


def test_a_token_is_accepted_for_its_hour():
    assert check(TEXT, KNOWN, NOON + timedelta(seconds=3599)) == Caller(RECORD.id, "ada", Role.VIEWER)


def test_a_token_is_refused_when_its_hour_is_over():
    told = check(TEXT, KNOWN, NOON + timedelta(hours=1))
    assert told == Unknown(f"the token {RECORD.id} expired at 2026-03-01 13:00 UTC")


def test_a_revoked_token_is_refused_from_that_moment():
    ended = {RECORD.id: revoke(RECORD, NOON + timedelta(minutes=5))}
    assert isinstance(check(TEXT, ended, NOON + timedelta(minutes=4)), Caller)
    assert check(TEXT, ended, NOON + timedelta(minutes=5)) == Unknown(f"the token {RECORD.id} was revoked at 2026-03-01 12:05 UTC")


def test_revoking_twice_keeps_the_first_time():
    first = revoke(RECORD, NOON)
    assert revoke(first, NOON + timedelta(days=1)) == first


def test_the_record_does_not_hold_the_secret():
    secret = TEXT.rpartition("_")[2]
    assert len(secret) == 64
    assert secret not in repr(RECORD)


@pytest.mark.parametrize(
    "changed", [TEXT[:-1] + "0", TEXT.replace(RECORD.id, "0" * 12), TEXT + "0", TEXT.upper(), "", "mlr_", "Bearer " + TEXT]
)
def test_anything_but_the_token_itself_is_refused(changed: str):
    assert isinstance(check(changed, KNOWN, NOON), Unknown)


def test_a_stranger_learns_nothing_about_a_token_that_ended():
    ended = {RECORD.id: replace(RECORD, revoked=NOON)}
    wrong = f"mlr_{RECORD.id}_{'0' * 64}"
    assert check(wrong, ended, NOON) == check(wrong, {}, NOON) == Unknown("the token is not known")


def test_a_token_is_not_made_from_too_little_randomness():
    with pytest.raises(ValueError, match="38 random bytes, not 16"):
        make(bytes(16), NOON, Duration(60), Role.VIEWER, "ada")
