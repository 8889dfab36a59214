"""Recheck: what still holds after a moment, and what a governor that comes back makes of what another began."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from mlray.govern.actions import Action, Drain, HoldJobs, Notify, PauseTrial, ResumeTrial, SetAllowance, StopCluster, StopRun
from mlray.govern.plan import Plan, plan
from mlray.govern.recheck import recheck, same, shown, too_old
from mlray.govern.snapshot import Snapshot
from mlray.policy.allowance import Bound
from tests.govern.givens import NOON, OPEN, STEADY, node, paid, policy, search, seen, snapshot, trial


def subjects(found: Plan) -> list[str]:
    return [action.subject for action in found.actions if not isinstance(action, Notify)]


def holds(action: Action, now: Snapshot) -> bool:
    return recheck(Plan(NOON, (action,)), now).actions == (action,)


def test_room_to_grow_is_not_given_when_the_money_went_meanwhile():
    before = seen(before=replace(OPEN, ceiling=2))
    drafted = plan(snapshot(before))
    assert subjects(drafted) == subjects(recheck(drafted, snapshot(before))) == ["flights"]
    assert subjects(recheck(drafted, snapshot(before, entries=(paid("$15"),)))) == []


def test_taking_room_away_still_holds_when_money_came_back():
    drafted = plan(snapshot(seen(), entries=(paid("$12"),)))
    assert subjects(recheck(drafted, snapshot(seen()))) == ["flights"]


def test_actions_fall_away_with_their_deployment_or_its_wording():
    drafted = plan(snapshot(seen(), entries=(paid("$12"),)))
    assert subjects(recheck(drafted, snapshot(entries=(paid("$12"),)))) == []
    assert subjects(recheck(drafted, snapshot(seen(), entries=(paid("$12"),), under=(policy(min_ready=2),)))) == []


def test_trials_that_are_gone_are_neither_paused_nor_resumed():
    pause, resume = PauseTrial("s", "t", "flights", "short"), ResumeTrial("s", "t", "flights", "paid")
    assert holds(pause, snapshot(runs=(search("s", trial("t", 1.0)),)))
    assert not holds(pause, snapshot(runs=(search("s", trial("t", 1.0, "$0.50", 0)),)))
    assert not holds(pause, snapshot())
    assert holds(resume, snapshot(runs=(search("s", trial("t", 1.0, "$0.50", 90)),)))
    assert not holds(resume, snapshot(runs=(search("s", trial("t", 1.0, "$0.50", 90)),), entries=(paid("$20"),)))


def test_what_cannot_be_taken_back_is_done_only_if_it_is_asked_for_still():
    read = replace(search("read"), hourly=STEADY.price.per_hour)
    stop, down = StopRun("read", "flights", "gone"), StopCluster("local", "flights", "idle")
    assert holds(stop, snapshot(runs=(read,), entries=(paid("$20"),)))
    assert not holds(stop, snapshot(runs=(read,)))
    idle = policy(clusters={"idle_stop": "30m"})
    governed: dict[str, Any] = {"under": (idle,), "cluster_policies": {"local": ("flights",)}}
    assert holds(down, snapshot(nodes=(node("head", idle_s=1800, head=True),), **governed))
    assert not holds(down, snapshot(nodes=(node("head", idle_s=1, head=True),), **governed))


def test_jobs_are_held_at_once_and_admitted_only_if_it_is_asked_for_still():
    held: dict[str, Any] = {"held": frozenset({"flights"})}
    assert holds(HoldJobs("flights", True, "short"), snapshot())
    assert not holds(HoldJobs("flights", True, "short"), snapshot(**held))
    assert holds(HoldJobs("flights", False, "paid"), snapshot(**held))
    assert not holds(HoldJobs("flights", False, "paid"), snapshot(entries=(paid("$20"),), **held))


def test_people_who_were_told_meanwhile_are_not_told():
    told = Notify("flights", "short", "w", "flights", "why")
    assert (holds(told, snapshot()), holds(told, snapshot(told={told.key: NOON}))) == (True, False)


def test_two_actions_are_the_same_whatever_their_reasons():
    room = SetAllowance("flights", "d", OPEN, "flights")
    assert same(room, replace(room, allowance=replace(OPEN, reason="other words")))
    assert not same(room, replace(room, allowance=replace(OPEN, bound=Bound.SHORT)))
    assert not same(HoldJobs("flights", True, ""), HoldJobs("flights", False, ""))
    assert not same(PauseTrial("s", "t", "", ""), ResumeTrial("s", "t", "", ""))


def test_the_world_shows_what_was_done_before_a_death():
    paused = snapshot(runs=(search("s", trial("t", 1.0, "$0.50", 0)),), nodes=(node("n", state="draining"),))
    assert [shown(action, paused) for action in (PauseTrial("s", "t", "", ""), ResumeTrial("s", "t", "", ""))] == [True, False]
    assert [shown(action, paused) for action in (StopRun("s", "", ""), StopRun("x", "", ""))] == [False, True]
    assert [shown(action, paused) for action in (Drain("n", "", ""), StopCluster("local", "", ""))] == [True, False]
    assert not shown(SetAllowance("flights", "d", OPEN), paused)


def test_a_look_older_than_a_minute_answers_for_nothing():
    looks: dict[datetime | None, bool] = {None: True, NOON.replace(minute=0, hour=11): True, NOON: False}
    assert {looked: too_old(looked, NOON) for looked in looks} == looks
