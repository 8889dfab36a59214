"""Gate: a request's facts, the token records and the limits -> let in, or turned away with a status and one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from mlray.access.permit import Caller, Denied, permit
from mlray.access.spec import Action
from mlray.access.token import TokenRecord, Unknown, check, unheard_of
from mlray.units import Memory

# Without fresh records a revoked token would go on being let in: after this long nobody is.
STALE_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one request may hold."""

    body: Memory
    rows: int


@dataclass(frozen=True, slots=True)
class Known:
    """The token records by id, and when they were read (UTC)."""

    records: Mapping[str, TokenRecord]
    at: datetime


@dataclass(frozen=True, slots=True)
class LetIn:
    """The request may go on, for this caller."""

    caller: Caller


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """The request ends here with this HTTP status; `reason` is told to the caller."""

    status: int
    reason: str


def enter(authorization: str, action: Action, item: str, known: Known, now: datetime) -> LetIn | TurnedAway:
    """Who sends the `Authorization` header, and may they do this. 401: nobody we know; 403: known, but not allowed."""
    if now - known.at > STALE_AFTER:
        return TurnedAway(503, f"the token records have not been readable since {known.at:%H:%M} UTC: nobody is let in")
    token = _token(authorization)
    if not token:
        return TurnedAway(401, "send a token: Authorization: Bearer mlr_...")
    caller = check(token, known.records, now)
    if isinstance(caller, Unknown):
        return TurnedAway(401, caller.reason)
    answer = permit(caller, action, item)
    return TurnedAway(403, answer.reason) if isinstance(answer, Denied) else LetIn(caller)


def may_be_new(authorization: str, known: Known) -> bool:
    """Whether newer records might know the caller: then they are worth reading before a 401."""
    return unheard_of(_token(authorization), known.records)


def too_large(size: int, limits: Limits) -> TurnedAway | None:
    """Whether a body of `size` bytes, or one that has reached it so far, is above the limit."""
    if size <= limits.body.bytes:
        return None
    return TurnedAway(413, f"the body is above {limits.body}, the most that is read")


def too_many(rows: int, limits: Limits) -> TurnedAway | None:
    if rows <= limits.rows:
        return None
    return TurnedAway(413, f"the request holds {rows} rows, more than {limits.rows}: send them in several requests")


def _token(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
