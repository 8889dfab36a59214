"""A cluster as people see it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mlray import files
from mlray.launch.record import Keeper, Record, new_node, new_record
from mlray.launch.status import NodeState, Seen, missing, status_of
from mlray.market.spec import Cluster
from tests.clusters import LOCAL

CLUSTER = files.load(LOCAL, Cluster)


def record() -> Record:
    made = new_record("local", "home", Path("/tmp/mlray-0/abcd1234"), 0.0, lambda port: True)
    for type in ("head", "spot", "on-demand"):
        node = replace(new_node(made, type, type == "head", {}, 10.0), keeper=Keeper(1, 1))
        made = replace(made, nodes=(*made.nodes, node))
    return made


def seen(record: Record, *alive: bool, since: float = 12.0) -> tuple[Seen, ...]:
    return tuple(Seen(node.ip, node.type, here, since) for node, here in zip(record.nodes, alive, strict=False))


ALL = {"head": (1,), "spot-1": (2,), "on-demand-1": (3,)}


def test_a_head_and_one_worker_of_each_kind_cost_4_dollars_13_an_hour():
    found = status_of(record(), CLUSTER, seen(record(), True, True, True), ALL)
    assert [(n.id, n.capacity, n.zone, n.state) for n in found.nodes] == [
        ("head", "on-demand", "local-a", NodeState.READY),
        ("spot-1", "spot", "local-a", NodeState.READY),
        ("on-demand-1", "on-demand", "local-b", NodeState.READY),
    ]
    assert str(found.per_hour) == "$4.13" and found.up and missing(found, CLUSTER) == {}


def test_a_node_that_has_not_joined_is_starting_and_missing():
    found = status_of(record(), CLUSTER, seen(record(), True, True), ALL)
    assert found.nodes[2].state is NodeState.STARTING
    assert missing(found, CLUSTER) == {"on-demand": 1}


def test_a_node_is_lost_when_ray_counts_it_dead_or_its_processes_are_gone():
    found = status_of(record(), CLUSTER, seen(record(), True, False, True), {**ALL, "on-demand-1": ()})
    assert [node.state for node in found.nodes] == [NodeState.READY, NodeState.LOST, NodeState.LOST]


def test_an_earlier_node_on_the_same_address_is_not_taken_for_it():
    found = status_of(record(), CLUSTER, seen(record(), True, True, True, since=9.0), ALL)
    assert {node.state for node in found.nodes} == {NodeState.STARTING}


def test_a_head_that_does_not_answer_leaves_the_cluster_down_and_ended_nodes_are_left_out():
    found = status_of(record().changed("spot-1", ended=20.0), CLUSTER, None, ALL)
    assert not found.up and [node.id for node in found.nodes] == ["head", "on-demand-1"]
