"""Allowances: floors from the promise, ceilings from the money."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlray import files
from mlray.ledger.balance import Balance, balance
from mlray.ledger.entry import Cause, Charge, Usage
from mlray.market.offer import offers
from mlray.market.spec import Cluster, Interruptions
from mlray.policy.allowance import Allowance, Bound, allow
from mlray.policy.floor import Footing, at_least, ready_share, solve_floor
from mlray.policy.spec import Policy
from mlray.units import Duration, Money

ROOT = Path(__file__).parents[2]
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
NOON = MIDNIGHT + timedelta(hours=12)
SPOT = Interruptions(every=Duration(7200), recovery=Duration(60))
QUARTER = Money.parse("$0.25")


def policy(
    min_ready: int = 1, replicas: str = "1..4", target: str = "99.9%", when_short: str = "keep-floor", amount: str = "$10"
) -> Policy:
    return Policy.model_validate(
        {
            "kind": "policy",
            "name": "flights",
            "governs": {"deployments": ["flights"]},
            "availability": {"min_ready": min_ready, "replicas": replicas, "target": target},
            "budget": {"amount": amount, "every": "1d", "when_short": {"serve": when_short}},
        }
    )


def footing(hourly: Money | None = QUARTER, running: int = 2, spot_share: float = 1.0, spot: Interruptions | None = SPOT) -> Footing:
    return Footing(hourly, running, spot_share, spot, None)


def spent(amount: str, under: Policy) -> Balance:
    charge = Charge("c", NOON, Money.parse(amount), Cause("serve", "flights", "flights"), Usage("spot", "spot", 60))
    return balance(under.budget, [charge], NOON)


def room(amount_spent: str, now: datetime = NOON, running: int = 2, others: str = "$0", **given: Any) -> tuple[int, int]:
    under = policy(**given)
    found = allow(under, spent(amount_spent, under), footing(running=running), now, Money.parse(others))
    return found.floor, found.ceiling


def test_one_ready_replica_at_three_nines_takes_two_on_spot():
    floor = solve_floor(policy().availability, footing())
    assert (floor.replicas, floor.met) == (2, True)
    assert floor.reason == "2 keep 1 ready 99.9931% of the time (target 99.9%, if each is lost on its own)"


@pytest.mark.parametrize(
    "min_ready, target, n", [(1, "99%", 1), (1, "99.9%", 2), (1, "99.999%", 3), (2, "99.9%", 3), (2, "99%", 3), (3, "98%", 4)]
)
def test_the_floor_is_the_smallest_that_keeps_the_target(min_ready: int, target: str, n: int):
    assert solve_floor(policy(min_ready, "1..6", target).availability, footing()).replicas == n


def test_on_demand_that_nothing_interrupts_needs_no_spare():
    assert solve_floor(policy(2).availability, footing(spot_share=0.0, spot=None)).replicas == 2


def test_half_on_spot_is_half_as_often_gone():
    assert ready_share(footing(spot_share=0.5)) == pytest.approx((7200 / 7260 + 1) / 2)


def test_a_target_beyond_the_most_replicas_says_what_can_be_reached():
    floor = solve_floor(policy(2, "1..2", "99.9%").availability, footing())
    assert (floor.replicas, floor.met) == (2, False)
    assert floor.reason == "target 99.9% cannot be met: 2 replicas keep 2 ready 98.3539% of the time, if each is lost on its own"


def test_spot_without_declared_interruptions_holds_the_promise_and_says_so():
    floor = solve_floor(policy(2).availability, footing(spot=None))
    assert (floor.replicas, floor.met) == (2, False)
    assert "not declared" in floor.reason


@given(st.integers(0, 5), st.integers(0, 7), st.floats(0, 1))
def test_the_binomial_tail_equals_counting_every_case(k: int, n: int, chance: float):
    def weight(case: tuple[bool, ...]) -> float:
        return chance ** sum(case) * (1 - chance) ** (n - sum(case))

    counted = sum(weight(case) for case in product([True, False], repeat=n) if sum(case) >= k)
    assert at_least(k, n, chance) == pytest.approx(counted, abs=1e-9)


def test_a_full_budget_pays_up_to_the_most_replicas():
    assert room("$0", amount="$13") == (2, 4)


def test_nine_dollars_for_twelve_hours_pay_three_replicas_at_a_quarter():
    assert room("$1", running=3) == (2, 3)
    assert room("$1.01", running=3) == (2, 2)


def test_a_third_replica_is_added_only_with_a_twentieth_to_spare():
    assert [room(spent, running=2)[1] for spent in ("$1", "$0.56", "$0.54")] == [2, 2, 3]


def test_the_same_money_pays_more_replicas_when_the_window_is_nearly_over():
    assert [room("$8", now=NOON + timedelta(hours=h))[1] for h in (0, 9, 11)] == [2, 2, 4]


def test_a_short_budget_holds_the_availability_floor():
    under = policy()
    found = allow(under, spent("$9.50", under), footing(), NOON)
    assert (found.floor, found.ceiling) == (2, 2)
    assert found.reason.endswith("$0.50 left pays 0 replicas at $0.25/h each until 2026-11-23 00:00 UTC: the floor is held, nothing grows")


def test_when_nothing_is_left_the_owner_says_which_promise_gives_way():
    assert room("$10") == (2, 2)
    assert room("$9.99", when_short="stop") == (2, 2)
    assert room("$10", when_short="stop") == (0, 0)


def test_what_other_deployments_will_cost_is_not_spent_twice():
    assert room("$0", others="$6") == (2, 2)
    assert room("$0", others="$0.50") == (2, 3)


@pytest.mark.parametrize("running, ceiling", [(0, 2), (3, 3), (9, 4)])
def test_an_unknown_price_or_balance_lets_nothing_grow(running: int, ceiling: int):
    under = policy()
    unpriced = allow(under, spent("$0", under), footing(None, running), NOON)
    unread = allow(under, None, footing(running=running), NOON)
    assert [(a.floor, a.ceiling) for a in (unpriced, unread)] == [(2, ceiling)] * 2
    assert unpriced.reason == f"the price of a replica is not known, so nothing grows: 2 to {ceiling} held"
    assert unread.reason == f"the balance of the policy is not known, so nothing grows: 2 to {ceiling} held"


def test_what_was_stopped_does_not_start_again_because_the_balance_cannot_be_read():
    stopped = Allowance(0, 0, 1.0, "no money", Bound.STOPPED)
    found = allow(policy(), None, footing(running=0), NOON, before=stopped)
    assert (found.floor, found.ceiling) == (0, 0)


@given(st.integers(0, 10**8), st.floats(0, 24), st.integers(0, 6), st.integers(0, 4), st.sampled_from(["stop", "keep-floor"]))
def test_the_ceiling_is_never_below_the_floor_nor_above_what_is_allowed(micros: int, hour: float, running: int, min_ready: int, short: str):
    now = min(MIDNIGHT + timedelta(hours=hour), MIDNIGHT + timedelta(hours=23, minutes=59))
    floor, ceiling = room(str(Money(micros)), now, running, min_ready=min_ready, when_short=short)
    assert 0 <= floor <= ceiling <= 4


@pytest.mark.parametrize("node_type, ceiling", [("spot", 4), ("on-demand", 3)])
def test_the_example_is_payable_from_midnight_to_midnight(node_type: str, ceiling: int):
    example = files.load(ROOT / "policies" / "flights.yaml", Policy)
    found = {o.node_type: o for o in offers(files.load(ROOT / "cluster" / "local.yaml", Cluster))}
    hourly = found[node_type].price.over(3600, found[node_type].share(0.5))
    stands = Footing(hourly, 2, 1.0, found["spot"].interruptions)
    whole_day = allow(example, balance(example.budget, (), MIDNIGHT), stands, MIDNIGHT)
    assert (whole_day.floor, whole_day.ceiling) == (2, ceiling)
    assert whole_day.reason.startswith("2 keep 1 ready 99.9995% of the time (target 99.9%, if each is lost on its own); $60.00 left pays")
