"""The last charges of a cluster that was taken down: every node is paid until it ended, and no second twice."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlray.govern.nodes import Nodes
from mlray.govern.snapshot import NodeSeen
from mlray.govern.store import GovernStore
from mlray.home import Home
from mlray.jobs.closing import close
from mlray.launch.record import Node, Record, machine, new_record
from mlray.ledger.entry import Cause, Charge, Usage
from mlray.ledger.meter import charge
from mlray.ledger.store import LedgerStore
from mlray.market.offer import by_type
from mlray.market.prices.store import read_cluster
from mlray.units import Money

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ENDED = NOON + timedelta(seconds=100)
LOCAL = Path(__file__).parents[2] / "cluster" / "local.yaml"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    found = Home.at(tmp_path / "home").prepare()
    found.cluster("local").mkdir(parents=True)
    shutil.copy(LOCAL, found.cluster("local") / "cluster.yaml")
    return found


def record(*nodes: Node) -> Record:
    return replace(new_record("local", "here", Path("/tmp/x/y"), NOON.timestamp(), lambda port: True), nodes=nodes)


def node(id: str, ended: datetime | None = ENDED) -> Node:
    return Node(
        id, id.partition("-")[0], id == "head", "127.0.0.1", "", NOON.timestamp(), {}, ended=None if ended is None else ended.timestamp()
    )


def charges(home: Home) -> list[Charge]:
    return [entry for entry in LedgerStore(home.database).entries() if isinstance(entry, Charge)]


def total(home: Home) -> Money:
    return sum((one.amount for one in charges(home)), Money(0))


def seen(home: Home, one: Node, now: datetime) -> None:
    """What a governor does at a look."""
    offers = by_type(read_cluster(home, home.cluster("local") / "cluster.yaml"))
    found = NodeSeen(machine("local", one), "local", offers[one.type], NOON, "running", one.head)
    nodes = Nodes(LedgerStore(home.database), GovernStore(home.database, "local"))
    nodes.charge((found,), {"local": Cause("cluster", "local", "")}, tuple(offers.values()), now)


def test_a_cluster_that_nobody_looked_at_is_paid_from_its_begin_to_its_end(home: Home):
    close(home, record(node("head"), node("spot-1")), ENDED)
    assert total(home) == Money.parse("$0.10") * (100 / 3600) + Money.parse("$0.97") * (100 / 3600)
    assert {(one.cause.stage, one.cause.job, one.waste) for one in charges(home)} == {
        ("cluster", "local", ""),
        ("cluster", "local", "idle"),
    }


def test_what_the_governor_charged_is_not_charged_again_nor_is_a_second_close(home: Home):
    seen(home, node("spot-1"), NOON + timedelta(seconds=90))
    assert total(home) > Money(0)
    for _ in range(2):
        close(home, record(node("spot-1")), ENDED)
    assert total(home) == Money.parse("$0.97") * (100 / 3600)


def test_work_on_a_node_is_taken_out_of_what_its_cluster_pays(home: Home):
    name = machine("local", node("spot-1"))
    price = by_type(read_cluster(home, home.cluster("local") / "cluster.yaml"))["spot"].price
    work = charge("w", NOON + timedelta(seconds=60), Usage("spot", "spot", 40.0, 0.5, name), price, Cause("tune", "toy", "toys", "r"))
    LedgerStore(home.database).append(work)
    close(home, record(node("spot-1")), ENDED)
    assert total(home) == Money.parse("$0.97") * (100 / 3600)
    assert sum((one.amount for one in charges(home) if one.cause.stage == "cluster"), Money(0)) == total(home) - work.amount


def test_a_node_whose_processes_were_gone_before_is_paid_to_the_last_look_at_it(home: Home):
    close(home, record(node("spot-1", None)), NOON + timedelta(days=3))
    assert total(home) == Money(0)
    GovernStore(home.database, "local").remember({"looked": (NOON + timedelta(seconds=30)).isoformat()})
    close(home, record(node("spot-1", None)), NOON + timedelta(days=3))
    assert total(home) == Money.parse("$0.97") * (30 / 3600)
