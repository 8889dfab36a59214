"""Allowances: floors from the promise, ceilings from the money."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlray import files
from mlray.ledger.balance import Balance, balance
from mlray.ledger.entry import Cause, Charge, Usage
from mlray.market.offer import offers
from mlray.market.spec import Cluster, Interruptions
from mlray.policy.allowance import Allowance, Bound, allow, allow_under
from mlray.policy.claim import Claim
from mlray.policy.floor import Footing, binomial, solve_floor
from mlray.policy.spec import Policy
from mlray.units import Duration, Money, Percent

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
    both = [solve_floor(policy(2, "2..2").availability, footing(spot_share=share)).reason for share in (1.0, 0.5)]
    assert ["98.3539%" in both[0], "99.1735%" in both[1]] == [True, True], both  # (7200 / 7260) squared, and once


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
    assert binomial(n, chance)[k:].sum() == pytest.approx(counted, abs=1e-9)


def test_a_full_budget_pays_up_to_the_most_replicas():
    assert room("$0", amount="$13") == (2, 4)


def test_nine_dollars_for_twelve_hours_pay_three_replicas_at_a_quarter():
    assert room("$1", running=3) == (2, 3)
    assert room("$1.01", running=3) == (2, 2)


def test_a_third_replica_is_added_only_with_a_twentieth_to_spare():
    assert [room(spent, running=2)[1] for spent in ("$1", "$0.56", "$0.54")] == [2, 2, 3]


def test_a_replica_that_is_paid_on_spot_and_not_on_demand_does_not_come_and_go_at_every_look():
    """Alone on spot it leaves room for a second; on demand that one makes both too dear, and it goes; then it would come again."""
    under = policy(replicas="1..2", target="90%")
    now, before, ceilings = NOON, None, list[int]()
    for _ in range(40):
        running = before.ceiling if before else 1
        hourly = Money.parse("$0.25" if running == 1 else "$0.60")
        before = allow(under, spent("$3", under), footing(hourly, running), now, before=before)
        ceilings.append(before.ceiling)
        now += timedelta(minutes=1)
    assert ceilings[:3] == [2, 1, 1]
    assert sum(a != b for a, b in pairwise(ceilings)) <= 7 and ceilings.count(2) <= 4


def test_room_that_money_took_away_is_back_at_once_in_a_new_window():
    under = policy(replicas="1..2", target="90%", amount="$20")
    low = Allowance(1, 1, 1.0, "", Bound.SHORT, lowered=(MIDNIGHT - timedelta(minutes=1)).isoformat())
    assert allow(under, spent("$0", under), footing(running=1), MIDNIGHT + timedelta(seconds=5), before=low).ceiling == 2
    late = Allowance(1, 1, 1.0, "", Bound.SHORT, lowered=(NOON - timedelta(minutes=1)).isoformat())
    held = allow(under, spent("$0", under), footing(running=1), NOON, before=late)
    assert held.ceiling == 1 and held.reason.endswith("room that money took away comes back 10 minutes later")


def test_a_third_replica_that_was_given_and_cannot_be_had_is_not_taken_back_by_a_wandering_price():
    under, seen = policy(), Allowance(2, 2, 1.0, "before")
    ceilings = []
    for price in ("$0.255", "$0.245", "$0.25", "$0.26", "$0.262", "$0.25"):
        seen = allow(under, spent("$0.56", under), footing(Money.parse(price), running=2), NOON, before=seen)
        ceilings.append(seen.ceiling)
    assert ceilings == [2, 3, 3, 3, 3, 3]  # $9.44 pay three for twelve hours at up to $0.2622
    dearer = allow(under, spent("$0.56", under), footing(Money.parse("$0.263"), running=2), NOON, before=seen)
    assert dearer.ceiling == 2


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


def rated(name: str = "flights", budget: dict[str, Any] | None = None, availability: dict[str, Any] | None = None, **more: Any) -> Policy:
    promise = {"min_ready": 1, "replicas": "1..4", "target": "99.9%", **(availability or {})}
    fields = {"governs": {}, "availability": promise, "budget": {"amount": "$10", "every": "1d", **(budget or {})}, **more}
    return Policy.model_validate({"kind": "policy", "name": name, **fields})


def under(*policies: Policy, amount: str = "$0", now: datetime = NOON, ago_h: float = 2, team: str = "", **stands: Any) -> Allowance:
    """The room of flights under all of them, after so much was spent on it so long ago."""
    cause = Cause("serve", "flights", "flights", tags=(("team", team),) if team else ())
    charge = Charge("c", now - timedelta(hours=ago_h), Money.parse(amount), cause, Usage("spot", "spot", 60))
    claims = [Claim(p, balance(p.budget, [charge], now)) for p in policies]
    return allow_under(claims, cause, footing(**stands), now)


def test_of_two_policies_the_poorer_sets_the_ceiling_and_the_stricter_the_floor():
    found = under(rated("rich", {"amount": "$100"}, {"min_ready": 2}), rated("poor", {"amount": "$9.50"}), running=3)
    assert (found.floor, found.ceiling, found.bound, found.policy) == (3, 3, Bound.SHORT, "poor")
    assert found.reason == (
        "3 keep 2 ready 99.9796% of the time (target 99.9%, if each is lost on its own) under policy rich; "
        "$9.50 left under policy poor pays 3 replicas at $0.25/h each until 2026-11-23 00:00 UTC"
    )


def test_no_policy_is_asked_to_keep_what_another_one_promised_in_part():
    """Three ready at 90 % and one ready at 99.999 % take three and three; three ready at 99.999 % would take five."""
    many, sure = rated("many", None, {"min_ready": 3, "target": "90%"}), rated("sure", None, {"target": "99.999%"})
    assert under(many, sure).floor == 3


def test_a_promise_widens_what_another_policy_allows_and_no_floor_is_above_its_ceiling():
    small = rated("small", None, {"replicas": "1..1", "target": "90%"})
    found = under(rated("big", None, {"min_ready": 2, "replicas": "2..6", "target": "99.999%"}), small)
    assert (found.floor, found.ceiling) == (2, 2)
    assert ", cut to 2 by what the others allow" in found.reason


def test_a_policy_that_stops_gives_up_the_floor_that_another_one_promises():
    found = under(rated("rich", {"amount": "$100"}), rated("hard", {"amount": "$1", "when_short": {"serve": "stop"}}), amount="$1")
    assert (found.floor, found.ceiling, found.bound, found.policy) == (0, 0, Bound.STOPPED, "hard")
    assert found.reason == (
        "no money is left for serve under policy hard until 2026-11-23 00:00 UTC; when_short: stop gives up the floor of 2"
    )


def test_a_limit_on_its_team_bounds_a_deployment():
    limited = rated("flights", {"limits": [{"team": "delays", "most": "50%"}]})
    assert [under(limited, amount="$1", team=team).ceiling for team in ("", "delays")] == [2, 2]
    found = under(limited, amount="$4.50", team="delays")
    assert (found.ceiling, found.bound) == (2, Bound.SHORT)
    assert "$0.50 left under the limit on team delays pays 0 replicas at $0.25/h each" in found.reason
    spent = under(limited, amount="$5", team="delays")
    assert (spent.bound, under(limited, amount="$5").bound) == (Bound.SPENT, Bound.SHORT)
    assert "no money is left for serve under the limit on team delays until" in spent.reason


def test_the_hourly_rate_bounds_the_ceiling_and_never_the_floor():
    found = under(rated(budget={"amount": "$100", "rate": "$0.80/h"}))
    assert (found.floor, found.ceiling, found.bound) == (2, 3, Bound.SHORT)
    assert found.reason.endswith("; at most $0.80/h pays 3 replicas at $0.25/h each")
    assert under(rated(budget={"amount": "$100", "rate": "$0.10/h", "when_short": {"serve": "stop"}})).floor == 2


def test_what_jobs_cost_of_late_is_not_there_for_replicas():
    policy = rated(budget={"amount": "$100", "rate": "$1.20/h"})
    job = Charge("c", NOON - timedelta(minutes=30), Money.parse("$0.40"), Cause("tune", "t", "flights"), Usage("spot", "spot", 60))
    found = [allow(policy, balance(policy.budget, entries, NOON), footing(), NOON).ceiling for entries in ([], [job])]
    assert found == [4, 3]


def test_at_exactly_the_rate_what_runs_stays_and_nothing_is_added():
    exact = rated(budget={"amount": "$100", "rate": "$0.75/h"})
    assert [under(exact, running=n).ceiling for n in (2, 3, 4)] == [2, 3, 3]


def test_an_hour_that_is_spent_lets_nothing_grow():
    capped = rated(budget={"amount": "$100", "rate": "$1/h"})
    assert under(capped, amount="$1.04", ago_h=0, running=4).ceiling == 4  # a charge that began in the hour before may count in this one
    found = under(capped, amount="$1.06", ago_h=0)
    assert (found.floor, found.ceiling, found.bound) == (2, 2, Bound.SHORT)
    assert found.reason.endswith("; the $1.00 of this hour are spent: the floor is held, nothing grows")


def test_a_window_that_holds_changes_the_promise_and_says_so():
    nights = {"name": "nights", "hours": "22:00-06:00", "min_ready": 0, "replicas": "0..1"}
    weekends = {"name": "weekends", "days": ["sat", "sun"], "hours": "00:00-12:00", "replicas": "0..0"}
    policy = rated(budget={"amount": "$100"}, windows=[weekends, nights])
    night, away, day = (under(policy, now=MIDNIGHT + timedelta(hours=h)) for h in (23, 11, 12))
    assert (night.floor, night.ceiling) == (0, 1) and night.reason.startswith("none is promised ready in window nights; $100.00 left pays")
    assert (away.floor, away.ceiling, away.bound) == (0, 0, Bound.OPEN)
    assert away.reason == "window weekends holds until 2026-11-22 12:00 UTC: scaled to zero"
    assert (day.floor, day.ceiling) == (2, 4)


def test_a_window_of_one_policy_does_not_switch_off_what_another_one_promises():
    away = rated("away", windows=[{"name": "sundays", "days": ["sun"], "replicas": "0..0"}])
    assert [(a.floor, a.ceiling) for a in (under(away), under(away, rated("always", {"amount": "$100"})))] == [(0, 0), (1, 1)]


def test_one_stays_in_a_window_of_none_where_it_could_not_come_back_in_time():
    away = rated(availability={"cold_start": "2m"}, windows=[{"name": "sundays", "days": ["sun"], "replicas": "0..0"}])
    slow = allow(away, spent("$0", away), Footing(QUARTER, 1, 1.0, SPOT, start_s=300), NOON)
    assert (slow.floor, slow.ceiling) == (1, 1)
    assert slow.reason.startswith("1 stays, for a first replica may take longer than the promised cold start in window sundays; ")


def test_the_strictest_terms_of_spot_are_those_of_all():
    found = under(rated("a", spot={"share": "50%"}), rated("b", spot={"on_demand": 1}))
    assert (found.spot_share, found.on_demand) == (0.5, 1)


def test_only_zones_in_which_every_policy_buys_spot_count():
    """Losses that take a whole zone: two replicas keep three nines only where they stand in two of them."""
    together = SPOT.model_copy(update={"together": Percent(0.92)})
    spread = {"zones": 2, "replicas": "1..3"}
    stands = Footing(QUARTER, 2, 1.0, together, zones=("eu-a", "eu-b", "us-a"))
    cause, rich = Cause("serve", "flights", ""), {"amount": "$100"}

    def found(*zones: list[str]) -> Allowance:
        policies = [rated(f"p{i}", rich, spread, spot={"zones": some}) for i, some in enumerate(zones)]
        return allow_under([Claim(p, balance(p.budget, (), NOON)) for p in policies], cause, stands, NOON)

    assert [(a.floor, a.spot_share) for a in (found([]), found(["eu-*"]), found(["eu-*"], ["*-a"]))] == [(2, 1.0), (2, 1.0), (3, 1.0)]
    nowhere = found(["eu-*"], ["us-*"])
    assert (nowhere.floor, nowhere.spot_share) == (1, 0.0)  # on demand, which nothing interrupts


def test_the_floor_goes_while_the_money_still_pays_until_the_next_look():
    hard = policy(when_short="stop")
    left = {tick: allow(hard, spent("$9.999", hard), footing(), NOON, tick=Duration(tick)) for tick in (5, 10)}
    assert {tick: (a.floor, a.bound) for tick, a in left.items()} == {5: (2, Bound.SHORT), 10: (0, Bound.STOPPED)}
    assert left[10].reason == (
        "$0.001 left until 2026-11-23 00:00 UTC will be gone before the next look; when_short: stop gives up the floor of 2"
    )
    gone = allow(hard, spent("$9.999", hard), footing(running=0), NOON, tick=Duration(10))
    assert gone.bound is Bound.STOPPED  # what was given up does not begin again with what it left


def test_grace_lets_work_go_on_for_as_long_as_it_says():
    patient = rated(budget={"when_short": {"serve": "stop"}, "grace": "30m"})
    half_an_hour = [under(patient, amount=amount, ago_h=0.5) for amount in ("$9.99", "$19.99", "$20.01")]
    assert [a.bound for a in half_an_hour] == [Bound.SHORT, Bound.SPENT, Bound.STOPPED]
    assert half_an_hour[1].reason.endswith("; it may go on for 30m after it was gone")


def test_what_cannot_be_read_does_not_keep_alive_what_another_policy_stops():
    hard, blind = rated("hard", {"amount": "$1", "when_short": {"serve": "stop"}}), rated("blind")
    cause = Cause("serve", "flights", "flights")
    charge = Charge("c", NOON, Money.parse("$1"), cause, Usage("spot", "spot", 60))
    claims = [Claim(blind, None), Claim(hard, balance(hard.budget, [charge], NOON))]
    assert allow_under(claims, cause, footing(), NOON).bound is Bound.STOPPED
    unread = allow_under([Claim(blind, None), Claim(rated("rich"), balance(hard.budget, [], NOON))], cause, footing(running=3), NOON)
    assert (unread.floor, unread.ceiling, unread.policy) == (2, 3, "blind")
    assert unread.reason == "the balance of policy blind is not known, so nothing grows: 2 to 3 held"


def test_what_is_held_stays_inside_what_is_allowed_now():
    small, before = rated(availability={"replicas": "1..2"}), Allowance(3, 4, 1.0, "before")
    found = allow(small, None, footing(running=4), NOON, before=before)
    assert (found.floor, found.ceiling) == (2, 2)


def test_without_a_policy_there_is_no_allowance():
    with pytest.raises(ValueError, match="what nobody pays for does not run"):
        allow_under([], Cause("serve", "flights", ""), footing(), NOON)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["$0.05", "$0.37", "$1", "$2.50"]),
    st.integers(10_000, 2_000_000),
    st.sampled_from([5, 60, 300]),
    st.integers(0, 3),
    st.lists(st.integers(0, 6), min_size=1, max_size=6),
)
def test_a_hard_budget_is_never_spent_over(amount: str, hourly: int, tick_s: int, min_ready: int, wishes: list[int]):
    """Replicas wish for more and less; each tick they are given what is allowed, and all of it is charged."""
    hard = rated(budget={"amount": amount, "every": "1h", "when_short": {"serve": "stop"}}, availability={"min_ready": min_ready})
    spent_, running, before, now = 0, 0, None, MIDNIGHT
    for tick in range(3600 // tick_s):
        charge = Charge("c", now, Money(spent_), Cause("serve", "flights", "flights"), Usage("spot", "spot", 60))
        stands = Footing(Money(hourly), running, 1.0, SPOT)
        before = allow(hard, balance(hard.budget, [charge], now), stands, now, before=before, tick=Duration(tick_s))
        running = max(before.floor, min(before.ceiling, wishes[tick % len(wishes)]))
        spent_, now = spent_ + hourly * running * tick_s // 3600, now + timedelta(seconds=tick_s)
    assert spent_ <= Money.parse(amount).micros
