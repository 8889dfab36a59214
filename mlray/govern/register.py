"""Register: the runs of one cluster that are under government: what their drivers last said of them, and their orders.

An edge. A driver and the governor meet here and nowhere else: either may die, start anew, or be late, and finds what stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, String, Table, Text, and_, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from mlray.database import CATALOGUE, connect, tables, writing
from mlray.errors import StoreError
from mlray.govern.snapshot import Running, TrialSeen, TrialState
from mlray.ledger.entry import Cause
from mlray.policy.spec import Policy
from mlray.tune.orders import Orders
from mlray.units import Money

RUNS = Table(
    "governor_runs",
    CATALOGUE,
    Column("cluster", String(63), primary_key=True),
    Column("run", String(255), primary_key=True),
    Column("seen_at", String(32), nullable=False),
    Column("policy", Text, nullable=False),
    Column("facts", Text, nullable=False),
)
ORDERS = Table(
    "governor_orders",
    CATALOGUE,
    Column("cluster", String(63), primary_key=True),
    Column("run", String(255), primary_key=True),
    Column("trial", String(63), primary_key=True),  # "" is the whole run, which is to stop
    Column("reason", Text, nullable=False),
)
# A driver says that it lives every second; one that was silent this long has died, or will be seen again.
SILENT = timedelta(seconds=30)


class Register:
    """One cluster's part of the tables. Each call is one transaction, and each change may be made twice."""

    def __init__(self, url: str, cluster: str) -> None:
        self._cluster = cluster
        with _translated():
            self._engine = tables(connect(url))

    def enter(self, running: Running, policy: Policy, at: datetime, places: frozenset[str] = frozenset()) -> None:
        """What the driver of a run knows at an instant, in place of what it said before. `places` are the nodes it works on."""
        facts = {**_facts(running), "places": sorted(places)}
        row = {"seen_at": _stamp(at), "policy": policy.model_dump_json(), "facts": json.dumps(facts)}
        with _translated(), writing(self._engine) as connection:
            connection.execute(delete(RUNS).where(_is(RUNS, self._cluster, running.run)))
            connection.execute(insert(RUNS).values(cluster=self._cluster, run=running.run, **row))

    def leave(self, run: str) -> None:
        """The run has ended, and its orders with it."""
        with _translated(), writing(self._engine) as connection:
            for table in (RUNS, ORDERS):
                connection.execute(delete(table).where(_is(table, self._cluster, run)))

    def leave_all(self) -> None:
        """As a cluster goes down: nothing runs on it any more."""
        with _translated(), writing(self._engine) as connection:
            for table in (RUNS, ORDERS):
                connection.execute(delete(table).where(table.c.cluster == self._cluster))

    def runs(self, now: datetime) -> tuple[Running, ...]:
        """The runs whose drivers live, in the order of their names. Their reservations and policies are for the governor to add."""
        return tuple(_running(row.run, json.loads(row.facts)) for row in self._living(now))

    def places(self, now: datetime) -> dict[str, frozenset[str]]:
        """The nodes that each of those runs works on, by the ledger's names; none where it does not say."""
        return {row.run: frozenset(json.loads(row.facts)["places"]) for row in self._living(now)}

    def policies(self, now: datetime) -> tuple[Policy, ...]:
        """The policies that runs were admitted under, as they were worded then."""
        return tuple(Policy.model_validate_json(text) for text in dict.fromkeys(row.policy for row in self._living(now)))

    def order(self, run: str, trial: str, reason: str) -> None:
        """Holds a trial, or stops the run where `trial` is ""; until `lift`, or the end of the run."""
        with _translated(), writing(self._engine) as connection:
            connection.execute(delete(ORDERS).where(_is(ORDERS, self._cluster, run), ORDERS.c.trial == trial))
            connection.execute(insert(ORDERS).values(cluster=self._cluster, run=run, trial=trial, reason=reason))

    def lift(self, run: str, trial: str) -> None:
        with _translated(), writing(self._engine) as connection:
            connection.execute(delete(ORDERS).where(_is(ORDERS, self._cluster, run), ORDERS.c.trial == trial))

    def orders(self, run: str) -> Orders:
        """What a run must do now."""
        asked = select(ORDERS.c.trial, ORDERS.c.reason).where(_is(ORDERS, self._cluster, run)).order_by(ORDERS.c.trial)
        with _translated(), self._engine.connect() as connection:
            found = [(str(row.trial), str(row.reason)) for row in connection.execute(asked)]
        return Orders(tuple(held for held in found if held[0]), dict(found).get("", ""))

    def _living(self, now: datetime) -> list[Any]:
        mine = and_(RUNS.c.cluster == self._cluster, RUNS.c.seen_at >= _stamp(now - SILENT))
        with _translated(), self._engine.connect() as connection:
            return list(connection.execute(select(RUNS).where(mine).order_by(RUNS.c.run)))


def _is(table: Table, cluster: str, run: str) -> ColumnElement[bool]:
    return and_(table.c.cluster == cluster, table.c.run == run)


def _stamp(at: datetime) -> str:
    """Of one length and zone, so that texts are in the order of time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _facts(running: Running) -> dict[str, Any]:
    trials = [{**asdict(trial), "hourly": _micros(trial.hourly), "since": trial.since and _stamp(trial.since)} for trial in running.trials]
    cause = asdict(running.cause)
    return {
        "cause": cause,
        "trials": trials,
        "hourly": _micros(running.hourly),
        "accrued": running.accrued.micros,
        "market": running.market,
    }


def _running(run: str, facts: dict[str, Any]) -> Running:
    cause = Cause(**{**facts["cause"], "tags": tuple((name, value) for name, value in facts["cause"]["tags"])})
    trials = tuple(map(_trial, facts["trials"]))
    return Running(run, cause, trials, _money(facts["hourly"]), Money(facts["accrued"]), facts["market"])


def _trial(facts: dict[str, Any]) -> TrialSeen:
    since = datetime.fromisoformat(facts["since"]) if facts["since"] else None
    return TrialSeen(facts["id"], facts["value_per_dollar"], _money(facts["hourly"]), TrialState(facts["state"]), since)


def _micros(money: Money | None) -> int | None:
    return None if money is None else money.micros


def _money(micros: int | None) -> Money | None:
    return None if micros is None else Money(micros)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise StoreError(f"the runs under government cannot be read or written: {cause}", hint="check MLRAY_DATABASE") from error
