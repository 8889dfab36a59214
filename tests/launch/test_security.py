"""Every listening port of a cluster is in docs/security.md, and answers nobody without a token beyond what stands there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlray.home import Home
from mlray.launch import on_ray
from mlray.launch.on_ray import Connection
from mlray.policy.allowance import Allowance
from mlray.serve import on_ray as serving
from mlray.serve.doors import free_port
from mlray.serve.spec import ServeJob
from mlray.vault.store import VaultAddress
from tests.launch.listeners import WRONG, Listener, answers, listeners, speaks
from tests.serve.models import model_files

PAGE = Path(__file__).parents[2] / "docs" / "security.md"


@dataclass(frozen=True)
class Row:
    """One line of the page's table of ports."""

    name: str
    process: str
    on: str
    speaks: str
    answers: frozenset[str]

    def fits(self, listener: Listener, protocol: str) -> bool:
        return self.process in listener.command and (self.on, self.speaks) == (listener.on, protocol)


def rows() -> tuple[Row, ...]:
    text = PAGE.read_text()
    shown = re.search(r"\*Self-description\* stands for (.*?):", text, re.S)
    assert shown
    table = text.partition("| listener |")[2].partition("\n\n")[0].splitlines()[2:]
    return tuple(_row([cell.strip() for cell in line.strip("|").split("|")], _quoted(shown[1])) for line in table)


def test_the_page_declares_what_is_open_by_name():
    declared = rows()
    assert len(declared) == 15 and len({(row.process, row.on, row.speaks) for row in declared}) == 15
    assert not [row.name for row in declared for answer in row.answers if answer.startswith("POST")]
    assert {row.answers for row in declared if row.process == "gcs_server"} == {
        _quoted("""`grpc.health.v1.Health/Check`
        `grpc.channelz.v1.Channelz/GetServers` `grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo`""")
    }


@pytest.fixture(scope="module")
def found(cluster: Connection, cluster_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Listener, ...]]:
    """The listeners of a cluster with everything in it: nodes, a driver, and a deployment behind its door."""
    from ray import serve

    vault = VaultAddress(cluster_home.prepare().store, str(cluster_home.keyring))
    vault.open().commit_model("flights", model_files(), {})
    job: dict[str, object] = {"kind": "serve", "name": "flights-serve", "deployment": "flights", "model": "flights", "policy": "p"}
    job |= {"door": {"port": free_port()}, "replica": {"cpus": 0.25, "per_node": 1}}
    room = Allowance(1, 1, 1.0, "as the test says")
    serving.deploy(ServeJob.model_validate(job), tmp_path_factory.mktemp("job"), vault, cluster_home.database, room, 1)
    pids = [pid for node in on_ray.status(cluster_home, cluster.name).nodes for pid in node.pids]
    yield listeners([*pids, os.getpid()])
    serve.shutdown()


@pytest.mark.ray
def test_every_port_is_declared_and_says_no_more_than_it_should(found: tuple[Listener, ...]):
    declared, seen = rows(), dict[Row, set[str]]()
    for listener, protocol in ((listener, speaks(listener)) for listener in found):
        if not protocol:
            continue
        row = next((row for row in declared if row.fits(listener, protocol)), None)
        assert row, f"{listener.command[:200]} listens on {listener.on} port {listener.port} ({protocol}): docs/security.md has no such row"
        for headers in ({}, WRONG):
            said = answers(listener, headers)
            assert said <= row.answers, f"{row.name}: answers {sorted(said - row.answers)} with {headers or 'no token'}"
            seen.setdefault(row, set()).update(said)
    assert {row.name: row.answers - said for row, said in seen.items() if row.answers != said} == {}, "declared open, and closed"
    assert {row.name for row in declared} == {row.name for row in seen}, "declared, and not there"


@pytest.mark.ray
def test_with_the_token_every_grpc_port_answers_more(found: tuple[Listener, ...], cluster: Connection):
    """The proof that the probes of the test above ask for something that is there."""
    right = {"authorization": f"Bearer {cluster.token.read_text()}"}
    for listener in found:
        if speaks(listener) == "gRPC":
            assert answers(listener, right) > answers(listener) or not speaks(listener), listener


def _row(cells: list[str], self_description: frozenset[str]) -> Row:
    name, process, on, protocol, open_to_all = cells
    assert open_to_all == "nothing" or "self-description" in open_to_all or "`" in open_to_all
    said = _quoted(open_to_all) | (self_description if "self-description" in open_to_all else frozenset())
    return Row(name, process.strip("`"), on, protocol, said)


def _quoted(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"`([^`]+)`", text))
