"""PolicyStore: the policies in force in a home, and every step that brought them there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from pydantic import ValidationError
from sqlalchemy import BigInteger, Column, Connection, Integer, Row, String, Table, Text, insert, select
from sqlalchemy.exc import SQLAlchemyError

from mlray.database import CATALOGUE, connect, frozen, tables, writing
from mlray.errors import StoreError
from mlray.policy.change import Event, Standing, Step, standing
from mlray.policy.spec import Policy

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EVENTS = Table(
    "policy_events",
    CATALOGUE,
    Column("number", Integer().with_variant(BigInteger, "postgresql"), primary_key=True, autoincrement=True),
    Column("step", String(12), nullable=False),
    Column("name", String(63), nullable=False, index=True),
    Column("policy", Text, nullable=False),
    Column("before", String(64), nullable=False),
    Column("who", String(255), nullable=False),
    Column("why", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
)

frozen(EVENTS, "policy events")


class PolicyStore:
    """Every change is one transaction: a policy is replaced whole or not at all, and two who change one come one after the other."""

    def __init__(self, url: str) -> None:
        with _translated():
            self._engine = tables(connect(url))

    def in_force(self) -> tuple[Policy, ...]:
        """By name."""
        return tuple(now.in_force for now in self.standing() if now.in_force)

    def standing(self) -> tuple[Standing, ...]:
        """Every name that was ever spoken of, by name."""
        with _translated(), self._engine.connect() as connection:
            rows = connection.execute(select(EVENTS).order_by(EVENTS.c.name, EVENTS.c.number)).all()
        return tuple(standing(name, map(_event, mine)) for name, mine in groupby(rows, lambda row: row.name))

    def history(self, name: str) -> tuple[Event, ...]:
        """Every step of one policy, oldest first."""
        with _translated(), self._engine.connect() as connection:
            return _history(connection, name)

    def change(self, name: str, decide: Callable[[Standing], tuple[Event, ...]]) -> Standing:
        """Adds the events that `decide` answers with, and gives what stands then. What it raises changes nothing."""
        with _translated(), writing(self._engine) as connection:
            events = _history(connection, name)
            more = decide(standing(name, events))
            if more:
                connection.execute(insert(EVENTS), list(map(_row, more)))
            return standing(name, (*events, *more))


def _history(connection: Connection, name: str) -> tuple[Event, ...]:
    rows = connection.execute(select(EVENTS).where(EVENTS.c.name == name).order_by(EVENTS.c.number)).all()
    return tuple(map(_event, rows))


def _row(event: Event) -> dict[str, str | int]:
    return {
        "step": str(event.step),
        "name": event.name,
        "policy": event.policy.model_dump_json() if event.policy else "",
        "before": event.before,
        "who": event.who,
        "why": event.why,
        "at_us": (event.at - EPOCH) // timedelta(microseconds=1),
    }


def _event(row: Row[Any]) -> Event:
    _, step, name, policy, before, who, why, at_us = tuple(row)
    try:
        found = Policy.model_validate_json(policy) if policy else None
    except ValidationError as error:
        raise StoreError(f"policy {name} was written by another version of mlray: {error.errors()[0]['msg']}") from error
    return Event(Step(step), name, found, before, who, why, EPOCH + timedelta(microseconds=int(at_us)))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise StoreError(f"the policies cannot be read or written: {cause}", hint="check MLRAY_DATABASE") from error
