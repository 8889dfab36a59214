"""The governor over a world of fakes and real stores: every replica-second is charged once, whatever dies."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlray.clock import VirtualClock
from mlray.errors import ClusterError, StoreError
from mlray.govern.actions import Action
from mlray.govern.loop import Governor
from mlray.govern.snapshot import NodeSeen, Replica, Running, Watched
from mlray.govern.store import GovernStore
from mlray.ledger.entry import Cause, Charge, Entry, Usage
from mlray.ledger.store import LedgerStore
from mlray.market.offer import Offer
from mlray.market.spec import Capacity, Interruptions
from mlray.policy.allowance import Allowance, Bound
from mlray.policy.spec import Policy
from mlray.units import Duration, Money, Price

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SPOT = Offer("spot", "a", Capacity.SPOT, Price.parse("$0.97/h"), 2, Interruptions(every=Duration(14400), recovery=Duration(30)))
POLICY = Policy.model_validate(
    {
        "kind": "policy",
        "name": "flights",
        "governs": {"deployments": ["flights"]},
        "availability": {"min_ready": 1, "replicas": "1..4", "target": "99.9%"},
        "budget": {"amount": "$20", "every": "1d", "alerts": {"at": [], "forecast": False}},
    }
)
FLIGHTS = Watched("flights", POLICY, 0.5, "any", Cause("serve", "flights", "flights", "run-1", tags=(("team", "delays"),)))


class FakeWorld:
    """Replicas by name, with their start; `blind` hides them, `unpriced` hides prices."""

    def __init__(self) -> None:
        self.running: dict[str, datetime] = {}
        self.searches: dict[str, Running] = {}
        self.machines: tuple[NodeSeen, ...] = ()
        self.done: list[Action] = []
        self.blind = self.unpriced = self.deaf = False

    def offers(self) -> tuple[Offer, ...]:
        if self.unpriced:
            raise StoreError("no cluster file")
        return (SPOT,)

    def replicas(self, watched: tuple[Watched, ...], offers: tuple[Offer, ...]) -> Mapping[str, tuple[Replica, ...]]:
        if self.blind:
            raise ClusterError("no dashboard")
        offer = offers[0] if offers else None
        return {"flights": tuple(Replica(name, offer, 0.5, started) for name, started in self.running.items())}

    def runs(self) -> tuple[Running, ...]:
        return tuple(self.searches.values())

    def nodes(self) -> tuple[NodeSeen, ...]:
        return self.machines

    def apply(self, action: Action) -> None:
        if self.deaf:
            raise ClusterError("the cluster does not listen")
        self.done.append(action)


class FlakyLedger(LedgerStore):
    """A ledger that can be taken away."""

    away = False

    def _check(self) -> None:
        if self.away:
            raise StoreError("no database")

    def append(self, *entries: Entry) -> None:
        self._check()
        super().append(*entries)

    def standing(
        self, policy: str, since: datetime | tuple[datetime, ...], governs: Callable[[Cause], bool] | None = None
    ) -> tuple[Entry, ...]:
        self._check()
        return super().standing(policy, since, governs)


class Scene:
    """One governor that can be killed and started again over the same stores."""

    def __init__(self, folder: Path) -> None:
        url = f"sqlite:///{folder}/mlray.db"
        self.world, self.clock = FakeWorld(), VirtualClock(NOON)
        self.ledger, self.store = FlakyLedger(url), GovernStore(url, "local")
        self.restart()

    def restart(self) -> None:
        self.governor = Governor(self.world, self.ledger, self.store, self.clock, slice_s=15)

    def tick(self, seconds: float = 0, charge_all: bool = False) -> None:
        self.clock.sleep(seconds)
        self.governor.tick(charge_all)

    def start(self, *names: str) -> None:
        self.world.running |= dict.fromkeys(names, self.clock.now())

    def charges(self) -> list[Charge]:
        return [e for e in self.ledger.entries() if isinstance(e, Charge)]

    def seconds(self, name: str) -> float:
        return sum(c.usage.seconds for c in self.charges() if c.cause.item == f"flights#{name}")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_replica_is_charged_in_slices_for_its_share_of_the_node(scene: Scene):
    scene.start("a")
    scene.governor.watch(FLIGHTS)
    for _ in range(12):
        scene.tick(5)
    found = scene.charges()
    assert [c.usage for c in found] == [Usage("spot", "spot", 15, 0.25)] * 4
    assert sum(c.amount.micros for c in found) == SPOT.price.over(60, 0.25).micros == 4042
    assert {(c.cause.job, c.cause.item, c.cause.run, c.cause.tags) for c in found} == {
        ("flights", "flights#a", "run-1", (("team", "delays"),))
    }


def test_a_replica_owes_from_its_real_start(scene: Scene):
    scene.start("a")
    scene.clock.sleep(100)
    scene.governor.watch(FLIGHTS)
    assert scene.seconds("a") == 100


def test_a_replica_that_is_gone_is_charged_to_when_it_was_last_seen(scene: Scene):
    scene.start("a")
    scene.governor.watch(FLIGHTS)
    scene.tick(4)
    scene.world.running.clear()
    scene.tick(5)
    scene.tick(60)
    assert scene.seconds("a") == 4


def test_a_gap_is_charged_once_after_a_restart(scene: Scene):
    scene.start("a")
    scene.governor.watch(FLIGHTS)
    scene.tick(20)
    scene.tick(7)
    scene.clock.sleep(600)
    scene.restart()
    scene.tick()
    assert scene.seconds("a") == 627


def test_seconds_that_could_not_be_booked_stay_owed(scene: Scene):
    scene.start("a")
    scene.governor.watch(FLIGHTS)
    scene.ledger.away = True
    scene.tick(30)
    scene.ledger.away = False
    scene.tick(30)
    assert scene.seconds("a") == 60


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["tick", "restart", "blind", "away", "unpriced", "all"]), max_size=25))
def test_whatever_fails_each_second_is_charged_exactly_once(tmp_path_factory: pytest.TempPathFactory, steps: list[str]):
    scene = Scene(tmp_path_factory.mktemp("scene"))
    scene.start("a", "b")
    scene.governor.watch(FLIGHTS)
    for step in steps:
        scene.world.blind, scene.ledger.away, scene.world.unpriced = (step == s for s in ("blind", "away", "unpriced"))
        if step == "restart":
            scene.restart()
        scene.tick(11.3, charge_all=step == "all")
    scene.world.blind = scene.ledger.away = scene.world.unpriced = False
    scene.tick(charge_all=True)
    lived = (scene.clock.now() - NOON).total_seconds()
    assert scene.seconds("a") == pytest.approx(lived) and scene.seconds("b") == pytest.approx(lived)
    assert sum(c.amount.micros for c in scene.charges()) == 2 * SPOT.price.over(round(lived, 6), 0.25).micros


def bounds(scene: Scene) -> tuple[int, int, Bound] | None:
    allowance = scene.governor.allowance("flights")
    return (allowance.floor, allowance.ceiling, allowance.bound) if allowance else None


def spend(scene: Scene, amount: str) -> None:
    cause = Cause("tune", "flights-tune", "flights", "t")
    scene.ledger.append(Charge(amount, scene.clock.now(), Money.parse(amount), cause, Usage("spot", "spot", 1)))


def test_the_room_follows_the_balance_and_the_window(scene: Scene):
    assert scene.governor.watch(FLIGHTS) == scene.governor.allowance("flights")
    assert bounds(scene) == (2, 4, Bound.OPEN)
    spend(scene, "$15")
    scene.tick(5)
    assert bounds(scene) == (2, 2, Bound.SHORT)
    scene.tick(12 * 3600)
    assert bounds(scene) == (2, 3, Bound.SHORT)  # a new day: $20.00 pay three for all of it


def test_each_change_is_journaled_once_with_its_reason_and_policy(scene: Scene):
    scene.start("a", "b")
    scene.governor.watch(FLIGHTS)
    spend(scene, "$15")
    for _ in range(5):
        scene.tick(5)
    scene.restart()
    scene.tick(5)
    lines = scene.store.journal("flights")
    assert [line.action for line in lines] == ["SetAllowance", "SetAllowance", "Notify"]
    assert {line.policies for line in lines} == {json.dumps({"flights": POLICY.digest})}
    assert lines[-1].reason.startswith("flights may run 2 to 2 replicas: 2 keep 1 ready 99.9995% of the time")
    lowered = lines[1].at.isoformat()
    assert scene.store.given("flights") == Allowance(2, 2, 1.0, lines[1].reason, Bound.SHORT, policy="flights", lowered=lowered)


def test_an_unreadable_balance_or_price_lets_nothing_grow(scene: Scene):
    scene.start("a", "b", "c")
    scene.governor.watch(FLIGHTS)
    scene.ledger.away = True
    scene.tick(5)
    assert bounds(scene) == (2, 3, Bound.UNKNOWN)
    scene.ledger.away, scene.world.unpriced = False, True
    scene.tick(5)
    assert bounds(scene) == (2, 3, Bound.UNKNOWN)
    scene.world.unpriced = False
    scene.tick(5)
    assert bounds(scene) == (2, 4, Bound.OPEN)


def test_a_cluster_that_cannot_be_seen_is_answered_for_one_minute(scene: Scene):
    scene.governor.watch(FLIGHTS)
    scene.world.blind = True
    scene.tick(60)
    assert bounds(scene) == (2, 4, Bound.OPEN)
    scene.tick(1)
    assert bounds(scene) is None


def test_a_forgotten_deployment_is_charged_to_the_end_and_has_no_room(scene: Scene):
    scene.start("a")
    scene.governor.watch(FLIGHTS)
    scene.clock.sleep(3)
    scene.governor.forget("flights")
    scene.restart()
    scene.tick(60)
    assert (scene.seconds("a"), bounds(scene)) == (3, None)


def test_a_cluster_that_goes_down_leaves_nothing_governed(scene: Scene):
    scene.start("a")
    scene.governor.watch(FLIGHTS)
    scene.clock.sleep(3)
    scene.governor.forget_all()
    assert (scene.seconds("a"), bounds(scene), scene.store.watched()) == (3, None, ())


def test_a_policy_that_is_edited_counts_from_its_new_wording(scene: Scene):
    scene.governor.watch(FLIGHTS)
    edited = POLICY.model_copy(update={"availability": POLICY.availability.model_copy(update={"min_ready": 2})})
    scene.governor.watch(Watched("flights", edited, 0.5, "any", FLIGHTS.cause))
    assert bounds(scene) == (3, 4, Bound.OPEN)
    assert [json.loads(line.policies)["flights"] for line in scene.store.journal()] == [POLICY.digest, edited.digest]
    assert timedelta(0) == scene.clock.now() - NOON
