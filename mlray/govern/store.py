"""GovernStore: which deployments are watched, and the journal: what was decided, why, with which numbers, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from mlray.database import CATALOGUE, connect, tables, writing
from mlray.errors import StoreError
from mlray.govern.journal import Intent, Line, Outcome, allowance_of, to_line
from mlray.govern.snapshot import Watched
from mlray.ledger.book import chunks
from mlray.ledger.entry import Cause
from mlray.policy.allowance import Allowance
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
    "governor_actions",
    CATALOGUE,
    Column("seq", Integer().with_variant(BigInteger, "postgresql"), primary_key=True, autoincrement=True),
    Column("cluster", String(63), nullable=False),
    Column("at", String(32), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("action", String(20), nullable=False),
    Column("policy", String(63), nullable=False),
    Column("policies", Text, nullable=False),
    Column("numbers", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", String(12), nullable=False),
    Column("outcome", Text, nullable=False),
    Index("governor_actions_subject", "cluster", "subject", "action", "seq"),
    Index("governor_actions_state", "cluster", "state"),
)
REMEMBERED = Table(
    "governor_remembered",
    CATALOGUE,
    Column("cluster", String(63), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("text", Text, nullable=False),
)
J = JOURNAL.c


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

    def remember(self, texts: Mapping[str, str]) -> None:
        """Keeps each text under its name, in the place of what was there; "" forgets it."""
        mine = REMEMBERED.c.cluster == self._cluster
        rows = [{"cluster": self._cluster, "name": name, "text": text} for name, text in texts.items() if text]
        with _translated(), writing(self._engine) as connection:
            for some in chunks(list(texts)):
                connection.execute(delete(REMEMBERED).where(mine, REMEMBERED.c.name.in_(some)))
            if rows:
                connection.execute(insert(REMEMBERED), rows)

    def remembered(self) -> dict[str, str]:
        with _translated(), self._engine.connect() as connection:
            rows = connection.execute(select(REMEMBERED).where(REMEMBERED.c.cluster == self._cluster)).all()
        return {str(row.name): str(row.text) for row in rows}

    def begin(self, intents: Sequence[Intent]) -> tuple[int, ...]:
        """Writes down what is about to be done, all or nothing, and answers with the number of each."""
        with _translated(), writing(self._engine) as connection:
            rows = [connection.execute(insert(JOURNAL).values(cluster=self._cluster, **_row(one))) for one in intents]
            return tuple(int(row.inserted_primary_key[0]) for row in rows if row.inserted_primary_key)

    def finish(self, outcomes: Mapping[int, Outcome]) -> None:
        """What came of each. One that is finished already keeps its first outcome."""
        with _translated(), writing(self._engine) as connection:
            for seq, outcome in outcomes.items():
                mine = and_(J.cluster == self._cluster, J.seq == seq, J.state == "")
                connection.execute(update(JOURNAL).where(mine).values(state=outcome.state, outcome=outcome.words))

    def open(self) -> tuple[Line, ...]:
        """What was begun and has no outcome, oldest first: a governor died meanwhile."""
        return self._lines(J.state == "", None)

    def journal(self, subject: str = "", last: int = 50) -> tuple[Line, ...]:
        """The newest lines, oldest first; of one subject, or of all."""
        return self._lines(J.subject == subject if subject else J.seq > 0, last)

    def about(self, subject: str, last: int = 50) -> tuple[Line, ...]:
        """As `journal`, and with the trials of a run, or all that a policy asked for."""
        mine = or_(J.subject == subject, J.subject.startswith(f"{subject}/", autoescape=True), J.policy == subject)
        return self._lines(mine, last) if subject else self.journal("", last)

    def given(self, deployment: str) -> Allowance | None:
        """The newest allowance that the deployment has."""
        return allowance_of(self._newest("SetAllowance", deployment).get(deployment))

    def rooms(self) -> dict[str, Allowance]:
        """The newest allowance of every deployment."""
        return {name: room for name, line in self._newest("SetAllowance").items() if (room := allowance_of(line)) is not None}

    def held(self) -> dict[str, str]:
        """The policies that admit no jobs now, each with the reason."""
        lines = self._newest("HoldJobs").values()
        return {line.policy: line.reason for line in lines if json.loads(line.numbers)["held"]}

    def told(self, since: datetime) -> dict[str, datetime]:
        """When people were told what, by the key of the Notify."""
        lines = self._lines(and_(J.action == "Notify", J.at >= since.isoformat(), J.state == "done"), None)
        return {str(json.loads(line.numbers)["key"]): line.at for line in lines}

    def prune(self, before: datetime) -> int:
        """Forgets lines older than that, never the newest of a subject and kind nor what is still open. Answers with how many."""
        newest = select(func.max(J.seq)).where(J.cluster == self._cluster, J.state == "done").group_by(J.subject, J.action)
        last = select(func.max(J.seq)).where(J.cluster == self._cluster).group_by(J.subject)
        old = and_(J.cluster == self._cluster, J.at < before.isoformat(), J.state != "", J.seq.not_in(newest), J.seq.not_in(last))
        with _translated(), writing(self._engine) as connection:
            return connection.execute(delete(JOURNAL).where(old)).rowcount

    def _newest(self, action: str, subject: str = "") -> dict[str, Line]:
        """The newest done line of each subject."""
        mine = and_(J.cluster == self._cluster, J.action == action, J.state == "done", J.subject == subject if subject else J.seq > 0)
        newest = select(func.max(J.seq)).where(mine).group_by(J.subject)
        return {line.subject: line for line in self._lines(J.seq.in_(newest), None)}

    def _lines(self, wanted: ColumnElement[bool], last: int | None) -> tuple[Line, ...]:
        asked = select(JOURNAL).where(J.cluster == self._cluster, wanted).order_by(J.seq.desc()).limit(last)
        with _translated(), self._engine.connect() as connection:
            rows: Sequence[Row[tuple[object, ...]]] = connection.execute(asked).all()
        return tuple(to_line(row._mapping) for row in reversed(rows))

    def _named(self, deployment: str) -> ColumnElement[bool]:
        return and_(WATCHED.c.cluster == self._cluster, WATCHED.c.deployment == deployment)


def governed_clusters(url: str) -> tuple[str, ...]:
    """The clusters of which the journal tells, gone or not, by name."""
    with _translated(), tables(connect(url)).connect() as connection:
        return tuple(connection.execute(select(J.cluster).distinct().order_by(J.cluster)).scalars())


def _row(intent: Intent) -> dict[str, str]:
    return {
        "at": intent.at.isoformat(),
        "subject": intent.action.subject,
        "action": type(intent.action).__name__,
        "policy": intent.action.policy,
        "policies": json.dumps(dict(intent.policies)),
        "numbers": json.dumps(intent.numbers),
        "facts": json.dumps(dict(intent.facts)),
        "reason": intent.action.reason,
        "state": "",
        "outcome": "",
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
