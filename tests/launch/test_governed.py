"""The machines of a local cluster as its governor is shown them."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from mlray.govern.machines import Bought
from mlray.home import Home
from mlray.launch.governed import LocalMachines
from mlray.launch.record import new_node
from mlray.launch.store import ClusterStore


def test_nodes_that_start_are_paid_for_and_those_that_ended_or_never_were_are_not(tmp_path: Path):
    home = Home.at(tmp_path / "home").prepare()
    machines = LocalMachines(home, "local")
    assert machines.bought() == ()
    store, now = ClusterStore(home, "local"), float(round(time.time()))
    record = store.begin()
    for type, head in (("head", True), ("spot", False), ("spot", False)):
        record = replace(record, nodes=(*record.nodes, new_node(record, type, head, {}, now)))
    store.change(lambda _: record.changed("spot-1", ended=now))
    found = machines.bought()
    assert [(one.name, one.node_type, one.begun.timestamp()) for one in found] == [
        (f"local/head/{now:.0f}", "head", now),
        (f"local/spot-2/{now:.0f}", "spot", now),
    ]
    assert all(isinstance(one, Bought) and one.ip.startswith(record.subnet) for one in found)
    machines.end(found[1].name)
    machines.end(found[1].name)
    assert [one.node_type for one in machines.bought()] == ["head"]
    store.remove()
