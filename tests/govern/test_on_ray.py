"""The governor on a real cluster: replicas on real nodes, charges in a real ledger, and an actor that is killed."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from mlray.clock import SystemClock
from mlray.govern import on_ray as governor
from mlray.govern.cluster import LiveCluster
from mlray.govern.snapshot import Watched
from mlray.govern.store import GovernStore
from mlray.home import Home
from mlray.launch.governed import LocalMachines
from mlray.ledger.entry import Cause, Charge, Usage
from mlray.ledger.store import LedgerStore
from mlray.policy.allowance import Allowance, Bound
from mlray.policy.spec import Policy
from mlray.units import Money
from tests.clusters import Shared

pytestmark = pytest.mark.ray
CAUSE = Cause("serve", "toy", "toys", "toy/1", owner="ada")
POLICY = Policy.model_validate(
    {
        "kind": "policy",
        "name": "toys",
        "governs": {"deployments": ["toy"]},
        "availability": {"min_ready": 1, "replicas": "1..4", "target": "99.9%"},
        "budget": {"amount": "$200", "every": "1d"},
    }
)


@dataclass(frozen=True)
class Scene:
    home: Home
    cluster: str
    head_ip: str
    dashboard: str

    @property
    def ledger(self) -> LedgerStore:
        return LedgerStore(self.home.database)

    def charges(self) -> list[Charge]:
        return [e for e in self.ledger.entries("toys") if isinstance(e, Charge) and e.cause.stage == "serve"]

    def slices(self) -> dict[str, list[tuple[float, float]]]:
        """For each replica, when each of its slices began and ended."""
        found: dict[str, list[tuple[float, float]]] = {}
        for c in self.charges():
            found.setdefault(c.cause.item, []).append((c.at.timestamp() - c.usage.seconds, c.at.timestamp()))
        return found


@pytest.fixture(scope="module")
def scene(shared_cluster: Shared) -> Iterator[Scene]:
    import ray
    from ray import serve

    home, connection = shared_cluster.home, shared_cluster.connection
    governor.start_governor(home, connection.name, LocalMachines(home, connection.name), tick_s=0.5, slice_s=1.0)
    toy = serve.deployment(num_replicas=2, ray_actor_options={"num_cpus": 0.5})(Toy)
    serve.start(http_options={"location": "NoServer"})
    serve.run(toy.bind(), name="toy", route_prefix=None)
    yield Scene(home, connection.name, connection.head_ip, connection.dashboard)
    ray.kill(ray.get_actor(governor.NAME, governor.NAMESPACE))
    serve.shutdown()


class Toy:
    def __call__(self) -> str:
        return "hello"


def until(true: Callable[[], Any], seconds: float = 30) -> Any:
    """Polls until it holds; the answer is what it held with."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, f"not so within {seconds:.0f} s"
        time.sleep(0.1)
    return found


def watch(policy: Policy = POLICY) -> Allowance:
    allowance = governor.watch("toy", policy, 0.5, CAUSE)
    assert allowance
    return allowance


def test_the_governor_runs_on_the_head_and_is_started_once(scene: Scene):
    import ray
    from ray.util.state import list_actors

    governor.start_governor(scene.home, scene.cluster, LocalMachines(scene.home, scene.cluster))
    found = list(list_actors(filters=[("name", "=", governor.NAME), ("state", "=", "ALIVE")]))
    assert len(found) == 1
    heads = [n["NodeID"] for n in ray.nodes() if n["Labels"].get("mlray.io/node-type") == "head"]
    assert found[0].node_id == heads[0]


def test_two_replicas_are_charged_from_their_start_on_the_nodes_they_stand_on(scene: Scene):
    assert watch().floor == 2
    found = until(lambda: (s := scene.slices()) and len(s) == 2 and all(len(x) >= 3 for x in s.values()) and s)
    assert {c.usage.share for c in scene.charges()} == {0.25}
    assert {(c.usage.node_type, c.usage.capacity) for c in scene.charges()} <= {("spot", "spot"), ("on-demand", "on-demand")}
    assert all(c.amount > Money(0) for c in scene.charges())
    _contiguous(found)


def test_it_sees_every_node_with_its_price_and_who_stands_on_it(scene: Scene):
    watch()
    world = LiveCluster(scene.home, scene.cluster, scene.dashboard, LocalMachines(scene.home, scene.cluster), SystemClock())
    watched = Watched("toy", POLICY, 0.5, "any", CAUSE)
    (replicas,) = world.replicas((watched,), world.offers()).values()
    nodes = {node.id.split("/")[1]: node for node in world.nodes()}
    assert {replica.node for replica in replicas} == {nodes["spot-1"].id} and nodes["spot-1"].id.startswith(f"{scene.cluster}/spot-1/")
    assert [(n.head, n.state, n.tenants, str(n.offer and n.offer.price)) for n in nodes.values()] == [
        (True, "running", ("toy",), "$0.10/h"),
        (False, "running", ("toy",), "$0.97/h"),
    ]
    assert nodes["spot-1"].busy_cpus == 1.0 and nodes["spot-1"].idle_since is None


def test_a_killed_governor_comes_back_and_charges_the_gap_once(scene: Scene):
    from ray.util.state import list_actors

    watch()
    before = until(lambda: scene.slices())
    (old,) = list_actors(filters=[("name", "=", governor.NAME), ("state", "=", "ALIVE")])
    os.kill(old.pid, signal.SIGKILL)
    killed = time.time()
    until(lambda: [a for a in list_actors(filters=[("name", "=", governor.NAME), ("state", "=", "ALIVE")]) if a.pid != old.pid], 60)
    assert until(lambda: governor.allowance("toy"), 60).floor == 2
    after = until(lambda: all(s[-1][1] > killed for s in scene.slices().values()) and scene.slices())
    assert after.keys() == before.keys()
    _contiguous(after)


def test_short_money_takes_the_room_to_grow_and_the_journal_says_why(scene: Scene):
    assert watch().bound is Bound.OPEN
    cause = Cause("tune", "toy-tune", "toys", "t")
    scene.ledger.append(Charge("big", datetime.now(UTC), Money.parse("$199.99"), cause, Usage("spot", "spot", 1)))
    short = until(lambda: (a := governor.allowance("toy")) and a.bound is not Bound.OPEN and a)
    assert (short.floor, short.ceiling) == (2, 2)
    lines = until(lambda: [line for line in GovernStore(scene.home.database, scene.cluster).journal("toy") if line.action == "Notify"])
    assert json.loads(lines[-1].policies) == {"toys": POLICY.digest} and "toy may run 2 to 2 replicas" in lines[-1].reason


def test_a_forgotten_deployment_owes_nothing_more(scene: Scene):
    watch()
    governor.charge_now()
    governor.forget("toy")
    owed = scene.slices()
    governor.charge_now()
    assert scene.slices() == owed
    assert governor.allowance("toy") is None


def test_without_a_governed_deployment_nobody_answers(scene: Scene):
    watch()
    governor.forget_all()
    assert GovernStore(scene.home.database, scene.cluster).watched() == ()
    assert governor.allowance("toy") is None


def _contiguous(slices: dict[str, list[tuple[float, float]]]) -> None:
    """No second between a replica's first and last slice is charged twice, and none is left out."""
    for found in slices.values():
        for (_, end), (begin, _) in pairwise(found):
            assert begin == pytest.approx(end, abs=1e-3)
