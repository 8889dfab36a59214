"""What the policies' words ask of a placement."""

from __future__ import annotations

from typing import Any

from mlray.govern.need import Ground, Words, need
from mlray.policy.allowance import Allowance
from mlray.policy.spec import Availability, SpotTolerance

GROUND = Ground(120.0, 60.0, 1, ("us-a", "us-b", "eu-a"))


def words(spot: dict[str, Any] | None = None, **promise: Any) -> Words:
    return Words(Availability.model_validate({"min_ready": 2, "replicas": "2..8"} | promise), SpotTolerance.model_validate(spot or {}))


def room(floor: int, ceiling: int) -> Allowance:
    return Allowance(floor, ceiling, 1.0, "")


def test_what_is_promised_is_ready_and_what_the_load_wants_beyond_the_floor():
    assert need((words(),), room(3, 8), 3, GROUND).ready == 2  # the third of the floor is a spare
    assert need((words(),), room(3, 8), 5, GROUND).ready == 5


def test_the_room_bounds_all_nodes():
    found = need((words(),), room(3, 8), 5, GROUND)
    assert (found.least, found.most) == (3, 8)
    assert need((words(),), room(0, 0), 0, GROUND) == need((words(),), room(0, 0), 5, GROUND)
    assert need((words(),), room(0, 0), 0, GROUND).most == 0


def test_of_several_policies_the_strictest_word_counts():
    mild = words({"share": "80%", "on_demand": 1, "rebuy": "1m"}, target="99%", zones=2)
    strict = words({"share": "50%", "rebuy": "10m", "notices": False}, min_ready=3, target="99.9%", survive=1)
    found = need((mild, strict), room(3, 8), 3, GROUND)
    assert (found.ready, found.target, found.survive, found.zones) == (3, 0.999, 1, 2)
    assert (found.spot_share, found.on_demand, found.rebuy_s, found.notice_s) == (0.5, 1, 600.0, 0.0)


def test_spot_is_bought_where_every_policy_allows_it():
    assert need((words(),), room(2, 8), 2, GROUND).allowed == ("*",)
    assert need((words({"zones": ["us-*"]}), words({"zones": ["*-a"]})), room(2, 8), 2, GROUND).allowed == ("us-a",)
    assert need((words({"zones": ["us-*"]}), words({"zones": ["eu-*"]})), room(2, 8), 2, GROUND).allowed == ()


def test_replicas_that_share_a_node_are_counted_in_nodes():
    found = need((words(min_ready=3, survive=1),), room(5, 9), 7, Ground(120.0, 0.0, 4))
    assert (found.ready, found.least, found.most, found.survive) == (2, 2, 2, 1)
