"""Plans: what frees money comes first, what grows comes last, and people are told once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mlray.govern.actions import Notify, SetAllowance
from mlray.govern.plan import Plan, plan
from mlray.govern.recheck import recheck, too_old
from mlray.govern.snapshot import Replica, Seen, Snapshot, Watched
from mlray.ledger.balance import Balance, balance
from mlray.ledger.entry import Cause, Charge, Usage
from mlray.market.offer import Offer
from mlray.market.spec import Capacity, Interruptions
from mlray.policy.allowance import Allowance, Bound
from mlray.policy.spec import Policy
from mlray.units import Duration, Money, Price

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SPOT = Offer("spot", "a", Capacity.SPOT, Price.parse("$1/h"), 2, Interruptions(every=Duration(14400), recovery=Duration(30)))
STEADY = Offer("on-demand", "b", Capacity.ON_DEMAND, Price.parse("$3/h"), 2)
OPEN = Allowance(2, 4, 1.0, "before", Bound.OPEN)


def policy(amount: str = "$20", when_short: str = "keep-floor", min_ready: int = 1) -> Policy:
    return Policy.model_validate(
        {
            "kind": "policy",
            "name": "flights",
            "governs": {"deployments": ["*"]},
            "availability": {"min_ready": min_ready, "replicas": "1..4", "target": "99.9%"},
            "budget": {"amount": amount, "every": "1d", "when_short": {"serve": when_short}},
        }
    )


def spent(amount: str, under: Policy) -> Balance:
    cause = Cause("serve", "flights", "flights")
    return balance(under.budget, [Charge("c", NOON, Money.parse(amount), cause, Usage("spot", "spot", 60))], NOON)


def seen(
    name: str = "flights",
    used: str = "$0",
    running: int = 2,
    before: Allowance | None = OPEN,
    under: Policy | None = None,
    offer: Offer | None = SPOT,
) -> Seen:
    under = under or policy()
    watched = Watched(name, under, 0.5, "any", Cause("serve", name, under.name))
    replicas = tuple(Replica(f"{name}{i}", offer, 0.5, NOON - timedelta(hours=1)) for i in range(running))
    return Seen(watched, replicas, spent(used, under), before)


def snapshot(*deployments: Seen) -> Snapshot:
    return Snapshot(NOON, deployments, (SPOT, STEADY))


def given(found: Plan) -> dict[str, tuple[int, int, Bound]]:
    return {a.deployment: (a.allowance.floor, a.allowance.ceiling, a.allowance.bound) for a in found.actions if isinstance(a, SetAllowance)}


def test_nothing_is_done_while_the_numbers_stay():
    assert plan(snapshot(seen())).actions == ()


def test_a_new_deployment_is_given_its_room_without_a_word():
    actions = plan(snapshot(seen(before=None, running=0))).actions
    assert [type(a) for a in actions] == [SetAllowance]
    assert given(plan(snapshot(seen(before=None, running=0)))) == {"flights": (2, 4, Bound.OPEN)}


def test_short_money_lowers_the_ceiling_and_tells_people_once():
    short = plan(snapshot(seen(used="$12")))
    assert given(short) == {"flights": (2, 2, Bound.SHORT)}
    told = [a for a in short.actions if isinstance(a, Notify)]
    assert [a.reason.split(":")[0] for a in told] == ["flights may run 2 to 2 replicas"]
    after = short.actions[0]
    assert isinstance(after, SetAllowance)
    assert plan(snapshot(seen(used="$12.01", before=after.allowance))).actions == ()


def test_the_owner_says_whether_an_empty_budget_stops_the_floor():
    assert given(plan(snapshot(seen(used="$20")))) == {"flights": (2, 2, Bound.SPENT)}
    assert given(plan(snapshot(seen(used="$20", under=policy(when_short="stop"))))) == {"flights": (0, 0, Bound.STOPPED)}


def test_replicas_on_a_node_without_a_price_let_nothing_grow():
    assert given(plan(snapshot(seen(offer=None, running=3)))) == {"flights": (2, 3, Bound.UNKNOWN)}


def test_replicas_on_demand_cost_three_times_as_much_room():
    assert given(plan(snapshot(seen(offer=STEADY)))) == {"flights": (2, 2, Bound.SHORT)}


def test_two_deployments_do_not_spend_the_same_dollars():
    alone = plan(snapshot(seen("a", used="$8", before=None)))
    both = plan(snapshot(seen("a", used="$8", before=None), seen("b", used="$8", before=None)))
    lost = plan(snapshot(seen("a", used="$8", before=None), seen("b", used="$8", running=0)))
    assert given(alone) == {"a": (2, 3, Bound.SHORT)}
    assert given(lost)["a"] == (2, 3, Bound.SHORT)
    assert given(both) == {"a": (2, 2, Bound.SHORT), "b": (2, 2, Bound.SHORT)}


def test_what_frees_money_is_done_before_anything_grows():
    grows = seen("a", before=replace(OPEN, ceiling=2, bound=Bound.SHORT), under=policy("$100"))
    stops = seen("b", used="$20", under=policy(when_short="stop"))
    shrinks = seen("c", used="$20")
    blind = seen("d", offer=None, running=3)
    ordered = [a.deployment for a in plan(snapshot(grows, stops, shrinks, blind)).actions if isinstance(a, SetAllowance)]
    assert ordered == ["d", "c", "b", "a"]


def test_room_to_grow_is_not_given_when_the_money_went_meanwhile():
    before = replace(OPEN, ceiling=2)
    drafted = plan(snapshot(seen(before=before)))
    assert given(drafted) == {"flights": (2, 4, Bound.OPEN)}
    assert given(recheck(drafted, snapshot(seen(before=before)))) == {"flights": (2, 4, Bound.OPEN)}
    assert given(recheck(drafted, snapshot(seen(before=before, used="$15")))) == {}


def test_taking_room_away_still_holds_when_money_came_back():
    drafted = plan(snapshot(seen(used="$15")))
    assert given(recheck(drafted, snapshot(seen()))) == {"flights": (2, 2, Bound.SHORT)}


def test_actions_fall_away_with_their_deployment_or_their_policy():
    drafted = plan(snapshot(seen(used="$15")))
    assert recheck(drafted, snapshot()).actions == ()
    assert recheck(drafted, snapshot(seen(used="$15", under=policy(min_ready=2)))).actions == ()


def test_a_look_older_than_a_minute_answers_for_nothing():
    assert [too_old(looked, NOON) for looked in (None, NOON - timedelta(seconds=61), NOON - timedelta(seconds=60))] == [True, True, False]
