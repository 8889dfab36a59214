"""Token: a random secret that is shown once. What we keep is its SHA-256, its role and its end.

A token reads `mlr_<id>_<secret>`: the prefix lets scanners find leaked ones, the id finds the record, and the secret is
256 random bits, so one plain SHA-256 is as good as a slow hash.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mlray.access.permit import Caller
from mlray.access.spec import Role
from mlray.units import Duration

ID_BYTES, SECRET_BYTES = 6, 32
RANDOM_BYTES = ID_BYTES + SECRET_BYTES
PATTERN = re.compile(rf"mlr_([0-9a-f]{{{2 * ID_BYTES}}})_([0-9a-f]{{{2 * SECRET_BYTES}}})")
# Compared with when no record has the id, so that an unknown id takes as long as a wrong secret.
NO_HASH = "0" * 64


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What is kept of a token. Times are UTC; `hash` is the SHA-256 of the secret, in hex."""

    id: str
    hash: str
    role: Role
    owner: str
    created: datetime
    expires: datetime
    revoked: datetime | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """The token is not accepted; `reason` tells its bearer why without telling a stranger anything."""

    reason: str


def make(random: bytes, now: datetime, ttl: Duration, role: Role, owner: str) -> tuple[str, TokenRecord]:
    """A new token, to be shown once, and the record of it. `random` holds RANDOM_BYTES fresh random bytes."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"a token is made from {RANDOM_BYTES} random bytes, not {len(random)}")
    name, secret = random[:ID_BYTES].hex(), random[ID_BYTES:].hex()
    record = TokenRecord(name, _hash(secret), role, owner, now, now + timedelta(seconds=ttl.seconds))
    return f"mlr_{name}_{secret}", record


def check(token: str, records: Mapping[str, TokenRecord], now: datetime) -> Caller | Unknown:
    """Whose token it is, in constant time; `records` are by id. Expiry is told only to who holds the secret."""
    found = PATTERN.fullmatch(token)
    if not found:
        return Unknown("the token is not one of mlray's: it begins with mlr_")
    record = records.get(found[1])
    same = hmac.compare_digest(_hash(found[2]), record.hash if record else NO_HASH)
    if record is None or not same:
        return Unknown("the token is not known")
    if record.revoked is not None and record.revoked <= now:
        return Unknown(f"the token {record.id} was revoked at {record.revoked:%Y-%m-%d %H:%M} UTC")
    if record.expires <= now:
        return Unknown(f"the token {record.id} expired at {record.expires:%Y-%m-%d %H:%M} UTC")
    return Caller(record.id, record.owner, record.role)


def unheard_of(token: str, records: Mapping[str, TokenRecord]) -> bool:
    """Whether it could be a token made after the records were read: well formed, its id not among them."""
    found = PATTERN.fullmatch(token)
    return found is not None and found[1] not in records


def revoke(record: TokenRecord, now: datetime) -> TokenRecord:
    """The record with its end set to now; one that was revoked before keeps its first time."""
    return record if record.revoked else replace(record, revoked=now)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
