from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlray.cli import main
from mlray.cli.cluster import lines, served
from mlray.jobs.overview import Offered
from mlray.launch.status import NodeState, NodeStatus, Status
from mlray.units import Money, Price

SINCE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()


def test_a_status_is_a_line_a_node_and_an_unknown_price_is_not_zero():
    nodes = tuple(
        NodeStatus(f"{kind}-1", kind, kind, "local-a", NodeState.READY, "127.9.9.1", (1, 2), price, SINCE)
        for kind, price in (("spot", Price(Money(970_000))), ("gpu", None))
    )
    assert lines(Status("local", True, "127.9.9.1:6379", "http://127.0.0.1:8265", SINCE, nodes)) == [
        "cluster    local",
        "state      up",
        "dashboard  http://127.0.0.1:8265",
        "",
        "node    type  capacity  zone     state  address    price    since",
        "spot-1  spot  spot      local-a  ready  127.9.9.1  $0.97/h  2026-01-02 03:04:05 UTC",
        "gpu-1   gpu   gpu       local-a  ready  127.9.9.1  -        2026-01-02 03:04:05 UTC",
    ]


@pytest.mark.parametrize("command", [["status"], ["down"]])
def test_without_a_cluster_it_is_said_how_to_start_one(command: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(command) == 1
    assert capsys.readouterr().err == "error: no cluster is up\n  run mlray up cluster/local.yaml\n"


def test_a_cluster_file_that_nobody_can_act_on_starts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "c.yaml").write_text("cluster_name: local\n")
    assert main(["up", str(tmp_path / "c.yaml")]) == 2
    assert "c.yaml:1: provider: this field is required" in capsys.readouterr().err


def test_what_is_served_is_told_with_the_room_it_has_and_why():
    offered = Offered("flights", "flights@5b1c0a77e2f0", "http://127.0.0.1:8000/v2/models/flights", 1, 2, 2, 4, "2 keep 1 ready")
    assert served((offered,)) == [
        "",
        "deployment  model                 ready   allowed  endpoint",
        "flights     flights@5b1c0a77e2f0  1 of 2  2..4     http://127.0.0.1:8000/v2/models/flights",
        "  flights: 2 keep 1 ready",
    ]
    assert served(()) == []
