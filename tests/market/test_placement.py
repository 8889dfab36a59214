"""Placement: what is held, launched and stopped in hand-made markets."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlray.market.fleet import Held, Market, Need, Pool, Seen, Slot
from mlray.market.hazard import History, learn
from mlray.market.placement import Move, Placement, moves, place
from mlray.market.spec import Capacity
from mlray.units import Price

SPOT, DEAR = Capacity.SPOT, Capacity.ON_DEMAND
A, B, C, SAFE = Slot("a", SPOT), Slot("b", SPOT), Slot("c", SPOT), Slot("a", DEAR)
CHEAP, FULL = Price.parse("$1/h"), Price.parse("$3/h")
POOLS = (Pool(A, CHEAP), Pool(B, CHEAP), Pool(C, CHEAP), Pool(SAFE, FULL))


def held(**ready: int) -> tuple[Held, ...]:
    return tuple(Held(Slot(zone, SPOT), 0, n) for zone, n in ready.items())


def market(*have: Held, now_s: float = 0.0, pools: tuple[Pool, ...] = POOLS) -> Market:
    return Market(now_s, pools, have)


def total(placement: Placement, capacity: Capacity | None = None) -> int:
    return sum(n for slot, n in placement.counts if capacity in (None, slot.capacity))


@dataclass
class World:
    """Zones with room that a test sets; nodes are ready `cold` minutes after their launch; it does what a placement says."""

    need: Need
    room: dict[str, int]
    pools: tuple[Pool, ...] = POOLS
    cold: int = 2
    now: int = -1
    nodes: list[tuple[Slot, int]] = field(default_factory=list)
    noticed: dict[str, int] = field(default_factory=dict)
    history: History = field(default_factory=History)
    placement: Placement | None = None
    calls: int = 0
    refusals: int = 0

    def tick(self, room: dict[str, int] | None = None, noticed: dict[str, int] | None = None) -> None:
        self.now, self.room, self.noticed = self.now + 1, room or self.room, noticed or {}
        lost = {zone: len(self._in(zone)) - room for zone, room in self.room.items() if len(self._in(zone)) > room}
        for zone, n in lost.items():
            for node in self._in(zone)[:n]:
                self.nodes.remove(node)
        self._learn(lost=tuple(lost.items()))
        while True:
            self.calls += 1
            found = place(self.need, Market(self.now * 60.0, self.pools, self._held()), self.history, self.placement)
            if found is self.placement:
                return
            self.placement = found
            refused = {m.slot.zone for m in found.launch for _ in range(m.nodes) if not self._launch(m.slot)}
            if not refused:
                before = self.ready
                for move in found.stop:
                    for node in sorted((n for n in self.nodes if n[0] == move.slot), key=lambda n: -n[1])[: move.nodes]:
                        self.nodes.remove(node)
                assert self.ready == before or self.ready >= self.need.ready + self.need.survive
                return
            self.refusals += 1
            self._learn(refused=tuple(sorted(refused)))

    def _learn(self, lost: tuple[tuple[str, int], ...] = (), refused: tuple[str, ...] = ()) -> None:
        have = tuple((zone, len(self._in(zone))) for zone in self.room if self._in(zone))
        self.history = learn(self.history, Seen(self.now * 60.0, have, lost, refused, self.ready < self.need.ready))

    def _in(self, zone: str) -> list[tuple[Slot, int]]:
        return [n for n in self.nodes if n[0] == Slot(zone, SPOT)]

    def _launch(self, slot: Slot) -> bool:
        if slot.capacity is SPOT and len(self._in(slot.zone)) >= self.room[slot.zone]:
            return False
        self.nodes.append((slot, self.now))
        return True

    def _held(self) -> tuple[Held, ...]:
        out = []
        for slot in sorted({n[0] for n in self.nodes}):
            ready = sum(n[0] == slot and self.now - n[1] >= self.cold for n in self.nodes)
            many = sum(n[0] == slot for n in self.nodes)
            out.append(Held(slot, many - ready, ready, min(many, self.noticed.get(slot.zone, 0)) if slot.capacity is SPOT else 0))
        return tuple(out)

    @property
    def ready(self) -> int:
        return sum(self.now - begun >= self.cold for _, begun in self.nodes)

    def on(self, capacity: Capacity) -> int:
        return sum(slot.capacity is capacity for slot, _ in self.nodes)


def test_enough_are_launched_at_once_on_spot():
    found = place(Need(3), market(), History())
    assert sum(m.nodes for m in found.launch) == total(found) >= 3
    assert total(found, DEAR) == 0


def test_nothing_changed_is_the_very_same_answer():
    first = place(Need(3), market(*held(a=1, b=1, c=1)), History())
    settled = replace(first, launch=(), stop=())
    assert place(Need(3), market(*held(a=1, b=1, c=1), now_s=60.0), History(), settled) is settled


def test_another_need_is_placed_anew():
    first = place(Need(3), market(*held(a=1, b=1, c=1)), History())
    assert total(place(Need(5), market(*held(a=1, b=1, c=1), now_s=60.0), History(), first)) >= 5


def test_refused_zones_are_left_and_on_demand_comes_the_same_minute():
    world = World(Need(3), {"a": 0, "b": 1, "c": 0})
    world.tick()
    assert len(world.nodes) >= 3
    assert world.on(SPOT) <= 1


def test_spot_is_bought_again_when_the_zone_has_been_quiet():
    world = World(Need(2, target=0.9, rebuy_s=600.0), {"a": 2, "b": 0, "c": 0})
    for _ in range(5):
        world.tick()
    world.tick({"a": 0, "b": 0, "c": 0})
    for _ in range(4):
        world.tick({"a": 4, "b": 0, "c": 0})
        assert world.on(SPOT) == 0 and world.on(DEAR) == 2
    for _ in range(240):
        world.tick()
    assert world.on(SPOT) >= 2 and world.on(DEAR) == 0


def test_a_notice_launches_elsewhere_before_the_loss_and_keeps_the_promise():
    world = World(Need(2, target=0.9, notice_s=120.0), {"a": 4, "b": 4, "c": 4})
    for _ in range(5):
        world.tick()
    zone = next(slot.zone for slot, _ in world.nodes)
    others = {z: 4 for z in "abc" if z != zone}
    for _ in range(2):
        world.tick(noticed={zone: 4})
        assert world.ready >= 2
    world.tick({zone: 0, **others})
    assert world.ready >= 2


def test_nothing_ready_is_stopped_before_its_replacement_is_ready():
    counts = [(A, 2), (SAFE, 0)]
    starting = market(Held(A, 2, 0), Held(SAFE, 0, 2))
    ready = market(Held(A, 0, 2), Held(SAFE, 0, 2))
    assert moves(counts, starting, Need(2)) == ((), ())
    assert moves(counts, ready, Need(2)) == ((), (Move(SAFE, 2),))


def test_a_spare_that_is_ready_stays_while_what_is_wanted_instead_is_starting():
    counts = [(A, 0), (B, 0), (C, 0), (SAFE, 3)]
    starting = market(*held(a=1, b=1, c=1), Held(SAFE, 2, 1))
    assert moves(counts, starting, Need(3)) == ((), ())


def test_nodes_about_to_go_count_neither_as_ready_nor_as_to_be_stopped():
    launch, stop = moves([(A, 0), (B, 2)], market(Held(A, 0, 2, 2)), Need(2))
    assert (launch, stop) == ((Move(B, 2),), ())


def test_what_is_starting_and_unwanted_is_stopped_at_once_where_enough_are_ready():
    assert moves([(A, 0), (B, 1)], market(Held(A, 1, 0), Held(B, 0, 1)), Need(1))[1] == (Move(A, 1),)


def test_what_is_starting_is_kept_where_too_few_are_ready():
    assert moves([(A, 0), (B, 1)], market(Held(A, 1, 0)), Need(1)) == ((Move(B, 1),), ())


def test_ready_nodes_stay_where_their_price_is_gone_and_nothing_can_be_bought():
    found = place(Need(2, survive=1), market(*held(a=3), pools=(Pool(A, None),)), History())
    assert not found.stop


SLOTS = (A, B, C, SAFE)
HELD = st.builds(
    lambda slot, starting, ready, noticed: Held(slot, starting, ready, min(ready, noticed)),
    st.sampled_from(SLOTS),
    *[st.integers(0, 3)] * 3,
)


@given(
    st.lists(HELD, unique_by=lambda h: h.slot, max_size=4),
    st.lists(st.integers(0, 3), min_size=4, max_size=4),
    st.builds(Need, ready=st.integers(0, 4), survive=st.integers(0, 2), most=st.one_of(st.none(), st.integers(0, 5))),
)
def test_a_ready_node_is_never_stopped_unless_the_need_is_ready_without_it(have, wanted, need):
    _, stop = moves(list(zip(SLOTS, wanted, strict=True)), market(*have), need)
    starting = {h.slot: h.starting for h in have}
    stopped = sum(max(0, m.nodes - starting[m.slot]) for m in stop)
    needed = need.ready + need.survive if need.ready else 0
    left = sum(h.ready - h.noticed for h in have) - stopped
    assert not stopped or left >= min(needed, need.most if need.most is not None else needed)


@pytest.mark.parametrize("survive", [1, 2, 3])
def test_so_many_may_be_lost_at_one_moment(survive):
    assert total(place(Need(3, target=0.5, survive=survive), market(), History())) >= 3 + survive


@pytest.mark.parametrize("zones", [1, 2, 3])
def test_nodes_are_spread_over_zones(zones):
    found = place(Need(3, target=0.5, zones=zones), market(), History())
    assert len({slot.zone for slot, n in found.counts if n}) >= zones


def test_only_spot_in_other_zones_is_refused_by_the_allowed_ones():
    found = place(Need(3, allowed=("b*",)), market(), History())
    assert {slot.zone for slot, n in found.counts if n and slot.capacity is SPOT} == {"b"}
    assert total(place(Need(3, allowed=("z",)), market(), History()), DEAR) == 3


def test_nothing_is_bought_at_a_price_nobody_knows():
    pools = (Pool(A, None), Pool(B, CHEAP), Pool(SAFE, None))
    assert {slot for slot, n in place(Need(3), market(pools=pools), History()).counts if n} == {B}
    nowhere = place(Need(3), market(pools=(Pool(A, None),)), History())
    assert not nowhere.launch and "nowhere to buy" in nowhere.reason


def test_prepaid_nodes_come_first():
    paid = (Pool(A, CHEAP), Pool(SAFE, FULL, prepaid=3))
    assert total(place(Need(3), market(pools=paid), History()), DEAR) == 3


def test_a_higher_target_holds_no_less_and_costs_more():
    cost = [place(Need(3, target), market(), History()).hourly for target in (0.9, 0.99, 0.999, 0.9999)]
    assert cost == sorted(cost) and cost[0] < cost[-1]


def test_the_reason_names_what_is_held_and_what_is_avoided():
    history = learn(History(), Seen(0.0, lost=(("a", 1),)))
    found = place(Need(3, 0.999), market(now_s=120.0), history)
    assert "3 ready for 0.999 of the time" in found.reason
    assert "a took nodes 2 min ago" in found.reason


NEEDS = st.builds(
    Need,
    ready=st.integers(1, 4),
    target=st.sampled_from([0.9, 0.99, 0.999]),
    survive=st.integers(0, 1),
    zones=st.integers(1, 2),
    spot_share=st.sampled_from([0.0, 0.5, 1.0]),
    on_demand=st.integers(0, 2),
    least=st.integers(0, 3),
    rebuy_s=st.sampled_from([60.0, 300.0]),
)


@settings(max_examples=25, deadline=None)
@given(NEEDS, st.integers(0, 10**6))
def test_the_bounds_of_the_policy_hold_at_every_minute_of_any_market(need, seed):
    rng, world = random.Random(seed), World(need, {"a": 4, "b": 4, "c": 4}, pools=(*POOLS, Pool(Slot("b", DEAR), FULL)))
    for _ in range(60):
        world.tick({z: rng.choice([0, 2, 4]) if rng.random() < 0.1 else n for z, n in world.room.items()})
        counts = dict(world.placement.counts)  # type: ignore[union-attr]
        spot = sum(n for slot, n in counts.items() if slot.capacity is SPOT)
        many, wanted = sum(counts.values()), max(need.ready + need.survive, need.least)
        assert many >= wanted and spot <= need.spot_share * many + 1e-9
        assert many - spot >= min(need.on_demand, wanted)
        assert len(world.nodes) >= wanted
        assert len({slot.zone for slot, n in counts.items() if n}) >= min(need.zones, wanted)


@settings(max_examples=15, deadline=None)
@given(NEEDS, st.integers(0, 10**6))
def test_a_ready_node_makes_way_only_for_ready_ones_whatever_the_prices(need, seed):
    """`World.tick` asserts it after every stop."""
    rng, world = random.Random(seed), World(need, {"a": 1, "b": 2, "c": 4})
    for _ in range(60):
        if rng.random() < 0.3:
            world.pools = tuple(replace(p, price=rng.choice([None, CHEAP, FULL, Price.parse("$9/h")])) for p in POOLS)
        world.tick({z: rng.choice([0, 1, 4]) if rng.random() < 0.1 else n for z, n in world.room.items()})


def test_full_zones_are_not_asked_every_minute_and_what_runs_there_is_left_in_peace():
    world = World(Need(3, target=0.999, rebuy_s=60.0), {"a": 1, "b": 1, "c": 1})
    for _ in range(12 * 60):
        world.tick()
    late, at = world.refusals, list(world.nodes)
    for _ in range(4 * 60):
        world.tick()
    assert world.refusals - late <= 3 * 8
    assert world.nodes == at
    assert {world.history.of(zone).calm_s(world.now * 60.0) > 4 * 3600 for zone in "abc"} == {True}


def test_a_day_of_losses_keeps_its_target_below_the_price_of_on_demand():
    rng, world = random.Random(5), World(Need(3, target=0.99, cold_start_s=120.0), {"a": 4, "b": 4, "c": 4})
    dollars, kept, minutes = 0.0, 0, 2 * 24 * 60
    for _ in range(minutes):
        world.tick({z: rng.choice([0, 1, 4, 4, 4]) if rng.random() < 0.002 else n for z, n in world.room.items()})
        dollars += sum(3.0 if slot.capacity is DEAR else 1.0 for slot, _ in world.nodes)
        kept += world.ready >= 3
    assert kept / minutes >= 0.99
    assert dollars / minutes < 0.6 * 9
    assert world.calls < 2 * minutes
