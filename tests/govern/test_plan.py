"""Plans: what frees money comes first and in one order, what grows comes last, and people are told once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from mlray.govern.actions import Action, Drain, HoldJobs, Notify, PauseTrial, ResumeTrial, SetAllowance, StopCluster, StopRun
from mlray.govern.plan import GROWTH, ORDER, Plan, plan
from mlray.govern.snapshot import NodeSeen, Snapshot
from mlray.market.offer import Offer
from mlray.policy.allowance import Bound
from tests.govern.givens import NOON, OPEN, SPOT, STEADY, node, paid, policy, reserved, search, seen, snapshot, trial


def rooms(found: Plan) -> dict[str, tuple[int, int, Bound]]:
    return {a.deployment: (a.allowance.floor, a.allowance.ceiling, a.allowance.bound) for a in found.actions if isinstance(a, SetAllowance)}


def of(found: Plan, *kinds: type[Action]) -> list[str]:
    return [a.subject for a in found.actions if isinstance(a, kinds)]


def quiet(*, held: bool = True, told: tuple[str, ...] = ("short", "spent"), **more: Any) -> dict[str, Any]:
    """What a governor remembers that has held jobs and told people already."""
    window = NOON.replace(hour=0).isoformat()
    keys = {f"{subject}|{bound}|flights|{window}": NOON for subject in ("flights", "a", "b") for bound in told}
    return {"held": frozenset({"flights"} if held else ()), "told": keys, **more}


def test_the_order_of_sacrifice_is_one_list():
    assert [step.__name__ for step in ORDER] == [
        "stop_admitting_jobs",
        "stop_growth",
        "pause_trials",
        "end_runs",
        "move_to_cheaper_offers",
        "lower_ceilings",
        "give_up_floors",
        "stop_clusters",
    ]
    assert [step.__name__ for step in GROWTH] == ["give_room", "resume_trials", "admit_jobs"]


def test_nothing_is_done_while_the_numbers_stay():
    assert plan(snapshot(seen())).actions == ()


def test_a_new_deployment_is_given_its_room_without_a_word():
    found = plan(snapshot(seen(before=None, running=0)))
    assert [type(a) for a in found.actions] == [SetAllowance]
    assert rooms(found) == {"flights": (2, 4, Bound.OPEN)}


def test_short_money_lowers_the_ceiling_and_tells_people_once():
    entries = (paid("$12"),)
    short = plan(snapshot(seen(), entries=entries))
    assert rooms(short) == {"flights": (2, 2, Bound.SHORT)}
    told = [a for a in short.actions if isinstance(a, Notify)]
    assert [a.reason.split(":")[0] for a in told] == ["flights may run 2 to 2 replicas"]
    after = next(a for a in short.actions if isinstance(a, SetAllowance))
    again = snapshot(seen(before=after.allowance), entries=entries, told={told[0].key: NOON})
    assert plan(again).actions == ()


def test_a_bound_that_comes_back_in_the_same_window_is_not_told_again():
    entries = (paid("$12"),)
    first = next(a for a in plan(snapshot(seen(), entries=entries)).actions if isinstance(a, Notify))
    assert of(plan(snapshot(seen(), entries=entries, told={first.key: NOON})), Notify) == []
    tomorrow = first.key.replace("2026-11-22", "2026-11-21")
    assert of(plan(snapshot(seen(), entries=entries, told={tomorrow: NOON})), Notify) == ["flights"]


def test_what_a_budget_has_reached_and_where_it_goes_is_told_once():
    under = (policy(budget={"alerts": {"at": ["50%", "80%"], "forecast": True}}),)
    first = [a for a in plan(snapshot(seen(), under=under, entries=(paid("$11", "tune"),))).actions if isinstance(a, Notify)]
    assert [(a.subject, a.bound) for a in first if not isinstance(a.bound, Bound)] == [("flights", "50%"), ("flights", "forecast")]
    assert first[0].reason == "policy flights has spent $11.00, 50% or more of its $20.00 until 2026-11-23 00:00 UTC"
    told = {a.key: NOON for a in first}
    later = plan(snapshot(seen(), under=under, entries=(paid("$16", "tune"),), told=told)).actions
    assert [a.bound for a in later if isinstance(a, Notify) and not isinstance(a.bound, Bound)] == ["80%"]


def test_the_owner_says_whether_an_empty_budget_stops_the_floor():
    entries = (paid("$20"),)
    assert rooms(plan(snapshot(seen(), entries=entries))) == {"flights": (2, 2, Bound.SPENT)}
    assert rooms(plan(snapshot(seen(), entries=entries, under=(policy(when_short="stop"),)))) == {"flights": (0, 0, Bound.STOPPED)}


def test_a_hard_budget_stops_before_the_last_tick_is_spent():
    hard = (policy(when_short="stop"),)
    left = {"$19.9993": (2, 2, Bound.SHORT), "$19.9994": (0, 0, Bound.STOPPED)}  # two quarters of $1.00/h are $0.000694 in 5 s
    assert {used: rooms(plan(snapshot(seen(), entries=(paid(used),), under=hard)))["flights"] for used in left} == left


def test_a_floor_that_was_given_up_comes_back_only_for_a_while():
    stopped = replace(OPEN, floor=0, ceiling=0, bound=Bound.STOPPED)
    hard = (policy(when_short="stop"),)
    little = plan(snapshot(seen(running=0, before=stopped), entries=(paid("$19.90"),), under=hard))
    enough = plan(snapshot(seen(running=0, before=stopped), entries=(paid("$19.80"),), under=hard))  # two for a quarter hour: $0.125
    assert (rooms(little), rooms(enough)) == ({}, {"flights": (2, 2, Bound.SHORT)})


def test_replicas_on_a_node_without_a_price_let_nothing_grow():
    found = plan(snapshot(seen("flights", 3, OPEN, None)))
    assert rooms(found) == {"flights": (2, 3, Bound.UNKNOWN)}
    assert of(found, HoldJobs) == ["jobs of flights"]


def test_replicas_on_demand_cost_three_times_as_much_room():
    assert rooms(plan(snapshot(seen("flights", 2, OPEN, STEADY)))) == {"flights": (2, 2, Bound.SHORT)}


def test_two_deployments_do_not_spend_the_same_dollars():
    entries = (paid("$8"),)
    alone = plan(snapshot(seen("a", before=None), entries=entries))
    both = plan(snapshot(seen("a", before=None), seen("b", before=None), entries=entries))
    lost = plan(snapshot(seen("a", before=None), seen("b", 0), entries=entries))
    assert rooms(alone) == {"a": (2, 3, Bound.SHORT)}
    assert rooms(lost)["a"] == (2, 3, Bound.SHORT)
    assert rooms(both) == {"a": (2, 2, Bound.SHORT), "b": (2, 2, Bound.SHORT)}


def test_what_frees_money_is_done_before_anything_grows():
    rich, hard, soft = policy("$100", name="rich"), policy(when_short="stop", name="hard"), policy(name="soft")
    grows = seen("a", 2, replace(OPEN, ceiling=2, bound=Bound.SHORT), SPOT, "rich")
    stops, shrinks, blind = seen("b", 2, OPEN, SPOT, "hard"), seen("c", 2, OPEN, SPOT, "soft"), seen("d", 3, OPEN, None, "soft")
    now = snapshot(grows, stops, shrinks, blind, under=(rich, hard, soft), entries=(paid("$20"),))
    assert of(plan(now), SetAllowance) == ["d", "c", "b", "a"]


def short_of_all(**more: Any) -> Snapshot:
    """$1.00 is left at noon: two replicas need $6.00 until midnight, and three trials go on at $0.50 an hour each."""
    running = search("s", trial("good", 3.0), trial("bad", 1.0), trial("fair", 2.0))
    nodes = (node("head", STEADY, head=True), node("n1", STEADY, ("s",)))
    return snapshot(seen(), runs=(running,), nodes=nodes, entries=(paid("$19"),), **more)


def test_a_short_budget_is_met_in_the_order_of_sacrifice():
    found = plan(short_of_all())
    kinds = list(dict.fromkeys(type(a) for a in found.actions))
    assert kinds == [HoldJobs, PauseTrial, Drain, SetAllowance, Notify]
    assert of(found, PauseTrial) == ["s/bad", "s/fair", "s/good"]
    assert rooms(found) == {"flights": (2, 2, Bound.SHORT)}
    assert all(a.reason and a.policy == "flights" for a in found.actions)


def test_only_as_many_trials_pause_as_are_needed():
    """$12.50 left: $6.00 for the floor until midnight, and each trial $6.00 more."""
    running = search("s", trial("good", 3.0), trial("bad", 1.0), trial("fair", 2.0))
    found = plan(snapshot(seen(), runs=(running,), entries=(paid("$7.50"),)))
    assert of(found, PauseTrial) == ["s/bad", "s/fair"]
    assert next(a.reason for a in found.actions if isinstance(a, PauseTrial)) == (
        "policy flights has $12.50 until 2026-11-23 00:00 UTC and its work needs $24.00: "
        "trial bad pauses, worth 1 per dollar, the least, at $0.50 an hour"
    )


def test_a_search_costs_no_more_than_what_it_holds():
    running = search("s", trial("good", 3.0), trial("bad", 1.0), reserved="$6")
    assert of(plan(snapshot(seen(), runs=(running,), entries=(paid("$7"), reserved("s", "$6")))), PauseTrial) == []


def test_what_a_paused_search_holds_keeps_the_floors():
    """All but its own reservation is spent: it pauses, and what it holds pays the replicas."""
    running = search("s", trial("only", 3.0), reserved="$4")
    found = plan(snapshot(seen(), runs=(running,), entries=(paid("$16"), reserved("s", "$4")), under=(policy(when_short="stop"),)))
    assert (of(found, PauseTrial), rooms(found)) == (["s/only"], {"flights": (2, 2, Bound.SHORT)})


def test_trials_go_on_by_value_when_the_money_is_back_and_jobs_last():
    paused = search("s", trial("good", 3.0, "$0.50", 90), trial("bad", 1.0, "$0.50", 90))
    some = plan(snapshot(seen(), runs=(paused,), entries=(paid("$6"),), **quiet()))
    assert (of(some, ResumeTrial), of(some, HoldJobs)) == (["s/good"], [])
    all_of_it = plan(snapshot(seen(before=replace(OPEN, ceiling=2, bound=Bound.SHORT)), runs=(paused,), **quiet(), under=(policy("$100"),)))
    assert [a.subject for a in all_of_it.actions if not isinstance(a, Notify)] == ["flights", "s/good", "s/bad", "jobs of flights"]


def test_a_trial_that_paused_a_moment_ago_stays_paused():
    paused = search("s", trial("good", 3.0, "$0.50", 59))
    assert of(plan(snapshot(runs=(paused,), **quiet())), ResumeTrial) == []
    assert of(plan(snapshot(runs=(search("s", trial("good", 3.0, "$0.50", 60)),), **quiet())), ResumeTrial) == ["s/good"]


def test_what_paused_does_not_go_on_at_the_same_money():
    """$12.00 left pays the floor and one trial to the cent: it is not paused for that, and would not be resumed for it."""
    money = (paid("$8"),)
    assert of(plan(snapshot(seen(), runs=(search("s", trial("t", 1.0)),), entries=money)), PauseTrial) == []
    assert of(plan(snapshot(seen(), runs=(search("s", trial("t", 1.0, "$0.50", 600)),), entries=money, **quiet())), ResumeTrial) == []


def test_the_rate_of_an_hour_pauses_trials_and_ends_nothing():
    rate = policy(budget={"rate": "$1/h"})
    found = plan(
        snapshot(runs=(search("s", trial("t", 1.0), reserved="$9"),), under=(rate,), entries=(paid("$1.06", "tune"), reserved("s", "$9")))
    )
    assert (of(found, PauseTrial), of(found, StopRun)) == (["s/t"], [])


def test_without_money_ingest_ends_and_so_does_a_search_that_used_up_its_own():
    read = replace(search("read"), hourly=SPOT.price.per_hour)
    used_up = search("done", trial("t", 1.0), reserved="$0.0001")
    found = plan(snapshot(runs=(read, used_up, search("s", trial("t", 1.0), reserved="$3")), entries=(paid("$20"),)))
    assert (of(found, StopRun), of(found, PauseTrial)) == (["read", "done"], ["s/t"])


def test_running_work_is_given_its_grace():
    patient = policy(when_short="stop", budget={"grace": "1h"})
    runs = (search("s", trial("t", 1.0, "$1"), reserved="$5"),)

    def after(spent: str) -> list[str]:
        return of(plan(snapshot(runs=runs, entries=(paid(spent),), under=(patient,))), PauseTrial, StopRun)

    assert (after("$20"), after("$20.99"), after("$21")) == ([], [], ["s/t"])


def test_a_trial_under_two_policies_goes_on_only_when_both_pay():
    both = search("s", trial("t", 1.0, "$0.50", 90), policies=("flights", "team"))
    rich, poor = policy("$50"), policy("$1", name="team")
    assert of(plan(snapshot(runs=(both,), under=(rich, poor), held=frozenset({"flights", "team"}))), ResumeTrial) == []
    assert of(plan(snapshot(runs=(both,), under=(rich, policy("$50", name="team")))), ResumeTrial) == ["s/t"]


def test_the_strictest_of_two_policies_sets_the_ceiling_and_is_named():
    found = plan(snapshot(seen("a", 2, OPEN, SPOT, "flights", "team"), under=(policy("$50"), policy("$8", name="team"))))
    given = next(a for a in found.actions if isinstance(a, SetAllowance))
    assert (given.allowance.ceiling, given.policy) == (2, "team")


def test_only_work_that_tolerates_spot_moves_and_only_to_where_it_is_cheaper():
    running, fixed = search("s", trial("t", 1.0)), replace(search("f", trial("t", 1.0)), market="on-demand")
    places = (node("a", STEADY, ("s",)), node("b", STEADY, ("f",)), node("c", SPOT, ("s",)), node("d", STEADY, ("s", "flights")))
    found = plan(snapshot(seen(), runs=(running, fixed), nodes=places, entries=(paid("$19"),)))
    assert of(found, Drain) == ["a"]
    assert of(plan(snapshot(seen(), runs=(running,), nodes=places, under=(policy("$900"),))), Drain) == []


def test_an_unreadable_balance_holds_everything_and_says_so_once():
    blind: dict[str, Any] = {"balances": {"flights": None}}
    found = plan(snapshot(seen(running=3), runs=(search("s", trial("t", 1.0, "$0.50", 90)),), **blind))
    assert (rooms(found), of(found, ResumeTrial), of(found, HoldJobs)) == ({"flights": (2, 3, Bound.UNKNOWN)}, [], ["jobs of flights"])
    told = {a.key: NOON for a in found.actions if isinstance(a, Notify)}
    after = next(a.allowance for a in found.actions if isinstance(a, SetAllowance))
    assert plan(snapshot(seen(running=3, before=after), held=frozenset({"flights"}), told=told, **blind)).actions == ()


def test_unreadable_policies_let_nothing_grow():
    found = plan(snapshot(seen(before=replace(OPEN, ceiling=2, bound=Bound.SHORT)), readable=False))
    assert rooms(found) == {"flights": (2, 2, Bound.UNKNOWN)}
    assert of(found, Notify)[0] == "policies"


def clusters(*nodes: NodeSeen, **rules: str) -> list[str]:
    ruled = policy(clusters=rules)
    found = plan(snapshot(nodes=nodes, under=(ruled,), cluster_policies={"local": ("flights",)}))
    return [a.reason for a in found.actions if isinstance(a, StopCluster)]


def test_an_idle_cluster_is_taken_down_with_its_head():
    head, idle, busy = node("head", idle_s=1800, head=True), node("n", idle_s=1801), node("n", tenants=("s",))
    assert clusters(head, idle, idle_stop="30m") == [
        "cluster local goes down: no work ran on it for 30m, and policy flights waits 30m",
    ]
    assert clusters(replace(head, idle_since=NOON - timedelta(seconds=1799)), idle, idle_stop="30m") == []
    assert clusters(head, busy, idle_stop="30m") == []


def test_a_cluster_past_its_time_to_live_is_taken_down_whatever_runs():
    assert clusters(node("head", head=True), node("n", tenants=("s",)), time_to_live="2h") == [
        "cluster local goes down: it ran 2h, and policy flights gives it 2h"
    ]
    assert clusters(node("head", head=True), time_to_live="121m") == []


def test_a_deployment_with_room_keeps_its_idle_cluster():
    ruled = policy(clusters={"idle_stop": "30m"})
    found = plan(snapshot(seen(running=0), nodes=(node("head", idle_s=9999),), under=(ruled,), cluster_policies={"local": ("flights",)}))
    assert of(found, StopCluster) == []


def test_a_cluster_without_money_goes_last_and_only_under_a_hard_budget():
    def after(when_short: str, offer: Offer) -> list[str]:
        under = (policy(when_short=when_short),)
        idle = (node("head", offer, idle_s=10, head=True),)
        return of(plan(snapshot(nodes=idle, under=under, cluster_policies={"local": ("flights",)}, entries=(paid("$20"),))), StopCluster)

    assert (after("stop", STEADY), after("keep-floor", STEADY)) == (["local"], [])
