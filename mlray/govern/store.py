"""GovernStore: which deployments are watched, and the journal of what was decided about them under which policy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import BigInteger, Column, ColumnElement, Float, Integer, String, Table, Text, and_, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from mlray.database import CATALOGUE, connect, tables, writing
from mlray.errors import StoreError
from mlray.govern.actions import Action, SetAllowance
from mlray.govern.plan import Plan
from mlray.govern.snapshot import Watched
from mlray.ledger.entry import Cause
from mlray.policy.allowance import Allowance, Bound
from mlray.policy.spec import Policy

WATCHED = Table(
    "governor_watched",
    CATALOGUE,
    Column("cluster", String(63), primary_key=True),
    Column("deployment", String(63), primary_key=True),
    Column("policy", Text, nullable=False),
    Column("cpus", Float(53), nullable=False),
    Column("market", String(12), nullable=False),
    Column("cause", Text, nullable=False),
)
JOURNAL = Table(
    "governor_journal",
    CATALOGUE,
    Column("seq", Integer().with_variant(BigInteger, "postgresql"), primary_key=True, autoincrement=True),
    Column("cluster", String(63), nullable=False, index=True),
    Column("at", String(32), nullable=False),
    Column("deployment", String(63), nullable=False),
    Column("action", String(20), nullable=False),
    Column("policy_digest", String(64), nullable=False),
    Column("numbers", Text, nullable=False),
    Column("reason", Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One decision of the governor. `numbers` is the allowance that was given, as JSON; "{}" where none was."""

    at: datetime
    deployment: str
    action: str
    policy_digest: str
    numbers: str
    reason: str


class GovernStore:
    """One cluster's part of the governor's tables. A governor that is started anew goes on from here."""

    def __init__(self, url: str, cluster: str) -> None:
        self._cluster = cluster
        with _translated():
            self._engine = tables(connect(url))

    def watch(self, watched: Watched) -> None:
        """Adds a deployment, or takes the place of what was known of it."""
        row = {"policy": watched.policy.model_dump_json(), "cause": json.dumps(asdict(watched.cause)), "cpus": watched.cpus}
        with _translated(), writing(self._engine) as connection:
            connection.execute(delete(WATCHED).where(self._named(watched.deployment)))
            connection.execute(insert(WATCHED).values(cluster=self._cluster, deployment=watched.deployment, market=watched.market, **row))

    def forget(self, deployment: str) -> None:
        with _translated(), writing(self._engine) as connection:
            connection.execute(delete(WATCHED).where(self._named(deployment)))

    def watched(self) -> tuple[Watched, ...]:
        """What is watched on this cluster, in the order of names."""
        asked = select(WATCHED).where(WATCHED.c.cluster == self._cluster).order_by(WATCHED.c.deployment)
        with _translated(), self._engine.connect() as connection:
            return tuple(
                Watched(row.deployment, Policy.model_validate_json(row.policy), row.cpus, row.market, _cause(row.cause))
                for row in connection.execute(asked)
            )

    def record(self, plan: Plan) -> None:
        rows = [{"cluster": self._cluster, "at": plan.at.isoformat(), **_row(action)} for action in plan.actions]
        if rows:
            with _translated(), writing(self._engine) as connection:
                connection.execute(insert(JOURNAL), rows)

    def journal(self, deployment: str = "", last: int = 50) -> tuple[Line, ...]:
        """The newest lines, oldest first; of one deployment, or of all."""
        wanted = and_(JOURNAL.c.cluster == self._cluster, JOURNAL.c.deployment == deployment if deployment else JOURNAL.c.seq > 0)
        asked = select(JOURNAL).where(wanted).order_by(JOURNAL.c.seq.desc()).limit(last)
        with _translated(), self._engine.connect() as connection:
            rows = connection.execute(asked).all()
        return tuple(
            Line(datetime.fromisoformat(r.at), r.deployment, r.action, r.policy_digest, r.numbers, r.reason) for r in reversed(rows)
        )

    def given(self, deployment: str) -> Allowance | None:
        """The newest allowance in the journal."""
        mine = and_(JOURNAL.c.cluster == self._cluster, JOURNAL.c.deployment == deployment, JOURNAL.c.action == SetAllowance.__name__)
        asked = select(JOURNAL.c.numbers, JOURNAL.c.reason).where(mine).order_by(JOURNAL.c.seq.desc()).limit(1)
        with _translated(), self._engine.connect() as connection:
            found = connection.execute(asked).first()
        if found is None:
            return None
        numbers = json.loads(found.numbers)
        return Allowance(**{**numbers, "bound": Bound(numbers["bound"])}, reason=found.reason)

    def _named(self, deployment: str) -> ColumnElement[bool]:
        return and_(WATCHED.c.cluster == self._cluster, WATCHED.c.deployment == deployment)


def _row(action: Action) -> dict[str, str]:
    numbers = {}
    if isinstance(action, SetAllowance):
        numbers = {name: value for name, value in asdict(action.allowance).items() if name != "reason"}
    name, digest = type(action).__name__, action.policy_digest
    return {
        "deployment": action.deployment,
        "action": name,
        "policy_digest": digest,
        "numbers": json.dumps(numbers),
        "reason": action.reason,
    }


def _cause(text: str) -> Cause:
    given = json.loads(text)
    return Cause(**{**given, "tags": tuple((name, value) for name, value in given["tags"])})


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise StoreError(f"the governor's records cannot be read or written: {cause}", hint="check MLRAY_DATABASE") from error
