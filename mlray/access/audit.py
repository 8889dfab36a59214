"""Audit: what was done to keys and data, by whom; each entry holds the digest of the one before it.

Whoever changes, drops or slips in an entry breaks the chain at that place, unless they write all later entries anew as well.
So hand the head out from time to time: who holds an old head knows that nothing before it was rewritten.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from mlray.errors import TamperError

Fact = None | bool | int | str | list["Fact"] | dict[str, "Fact"]
ORIGIN = "0" * 64


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry of a record: how many there are, and the digest over all of them."""

    number: int
    digest: str

    def __str__(self) -> str:
        return f"{self.number}:{self.digest}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """Raises ValueError for anything that is not `NUMBER:DIGEST`."""
        number, _, digest = text.strip().partition(":")
        if len(digest) != len(ORIGIN) or not set(digest) <= set("0123456789abcdef"):
            raise ValueError("write a head as mlray printed it, NUMBER:DIGEST")
        return cls(int(number), digest)


START = Head(0, ORIGIN)


@dataclass(frozen=True, slots=True)
class Deed:
    """What was done: `did` is the verb, `to` the thing (a version, a dataset, a master key), `facts` the rest. Holds no secret."""

    who: str
    did: str
    to: str
    facts: Mapping[str, Fact]


@dataclass(frozen=True, slots=True)
class Entry:
    """One deed in its place. `body` is the JSON that the digest is over, so nothing has to be put into a form again."""

    number: int
    digest: str
    body: str

    @property
    def deed(self) -> Deed:
        value = json.loads(self.body)
        return Deed(value["who"], value["did"], value["to"], value["facts"])

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(json.loads(self.body)["at"])

    @property
    def head(self) -> Head:
        return Head(self.number, self.digest)


def follow(head: Head, deed: Deed, at: datetime) -> Entry:
    """The next entry of a record."""
    value = {"number": head.number + 1, "at": at.isoformat(), "who": deed.who, "did": deed.did, "to": deed.to, "facts": dict(deed.facts)}
    body = json.dumps(value | {"previous": head.digest}, sort_keys=True, separators=(",", ":"))
    return Entry(head.number + 1, _digest(body), body)


def verify(entries: Iterable[Entry], known: Head = START) -> Head:
    """The head of a whole record. Raises TamperError naming the first entry that breaks the chain.

    `known` is a head that was handed out earlier: the record must still pass through it.
    """
    head = START
    for entry in entries:
        _check(entry, head)
        head = entry.head
        if head.number == known.number and head != known:
            raise TamperError(f"audit entry {head.number} is not the one whose head was handed out: the record up to it was rewritten")
    if head.number < known.number:
        raise TamperError(f"audit entry {head.number + 1} is gone: the record ends before entry {known.number}, whose head was handed out")
    return head


def _check(entry: Entry, before: Head) -> None:
    due = before.number + 1
    if entry.number != due:
        raise TamperError(f"audit entry {due} is gone: after {before.number} comes {entry.number}")
    if _digest(entry.body) != entry.digest:
        raise TamperError(f"audit entry {due} was changed after it was written")
    value = json.loads(entry.body)
    if value["number"] != due or value["previous"] != before.digest:
        raise TamperError(f"audit entry {due} does not follow from the one before it")


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
