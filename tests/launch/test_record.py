"""The record of a cluster: addresses that are the same each time, names that are never used twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mlray.launch.record import Keeper, Ports, Record, new_node, new_record

SCRATCH = Path("/tmp/mlray-0/abcd1234")


def record(place: str = "/home/ana/.mlray", taken: tuple[int, ...] = ()) -> Record:
    return new_record("local", place, SCRATCH, 0.0, lambda port: port not in taken)


def grown(*types: str) -> Record:
    made = record()
    for type in types:
        made = replace(made, nodes=(*made.nodes, new_node(made, type, type == "head", {}, 1.0)))
    return made


def test_a_home_gets_the_same_addresses_again_and_another_home_gets_others():
    assert record() == record()
    assert record("/home/bo/.mlray").subnet != record().subnet
    assert record("/home/bo/.mlray").ports != record().ports


def test_free_ports_are_chosen_below_those_of_outgoing_connections():
    first = record().ports
    second = record(taken=(first.gcs, first.http)).ports
    assert not {first.gcs, first.http} & set(_all(second))
    assert len(set(_all(second))) == len(_all(second))
    assert all(20_000 <= port < 30_000 for port in _all(second))


def test_nodes_are_named_by_type_and_number_and_the_head_has_the_first_address():
    made = grown("head", "spot", "spot", "on-demand")
    assert [node.id for node in made.nodes] == ["head", "spot-1", "spot-2", "on-demand-1"]
    assert [node.ip.rpartition(".")[2] for node in made.nodes] == ["1", "2", "3", "4"]


def test_an_address_is_used_again_once_its_node_has_ended_and_a_name_and_a_folder_are_not():
    made = grown("head", "spot", "on-demand").changed("spot-1", ended=2.0)
    new = new_node(made, "spot", False, {}, 3.0)
    assert (new.id, new.ip, Path(new.folder).name) == ("spot-2", made.nodes[1].ip, "n3")
    assert [node.id for node in made.live()] == ["head", "on-demand-1"]


def test_a_record_survives_being_written_as_json():
    made = grown("head", "spot").changed("head", keeper=Keeper(12, 34), tags={"a": "b"})
    assert Record.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_unix_sockets_of_the_longest_folder_fit():
    """Ray puts the socket of the object store below the node's folder; 107 bytes is the kernel's limit."""
    node = replace(grown("head").nodes[0], folder="/tmp/mlray-65534/abcd1234/n999")
    assert len(f"{node.folder}/session_2026-11-22_09-24-27_588484_4194304/sockets/plasma_store") <= 107


@pytest.mark.parametrize("field", ["gcs", "dashboard"])
def test_addresses_name_their_ports(field: str):
    made = record()
    assert (made.address if field == "gcs" else made.dashboard).endswith(f":{getattr(made.ports, field)}")


def _all(ports: Ports) -> tuple[int, ...]:
    return tuple(getattr(ports, name) for name in Ports.__dataclass_fields__)
