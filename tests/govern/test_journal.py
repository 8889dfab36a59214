"""The governor's records, in a database and in memory: what was begun is found, what was done is known, the newest stays."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from mlray.govern.actions import Action, Drain, HoldJobs, Notify, PauseTrial, ResumeTrial, SetAllowance, StopCluster, StopRun
from mlray.govern.journal import DONE, DROPPED, Intent, Outcome, to_action
from mlray.govern.memory import MemoryStore
from mlray.govern.store import GovernStore
from mlray.policy.allowance import Allowance, Bound
from tests.govern.givens import NOON, OPEN, policy, seen

Store = MemoryStore | GovernStore
ROOM = Allowance(1, 3, 0.5, "why", Bound.SHORT, 1, "flights")
ACTIONS: tuple[Action, ...] = (
    SetAllowance("flights", "d" * 64, ROOM, "flights"),
    HoldJobs("flights", True, "short"),
    PauseTrial("s", "t", "flights", "short"),
    ResumeTrial("s", "t", "flights", "paid"),
    StopRun("s", "flights", "gone"),
    Drain("n", "flights", "cheaper"),
    StopCluster("local", "flights", "idle"),
    Notify("flights", "short", "w", "flights", "short"),
)


@pytest.fixture(params=["memory", "database"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else GovernStore(f"sqlite:///{tmp_path}/mlray.db", "local")


def intents(*actions: Action, after_s: float = 0) -> list[Intent]:
    return [Intent(NOON + timedelta(seconds=after_s), a, {"flights": "digest"}, {"left": "$1.00", "running": 2}) for a in actions]


def done(store: Store, *actions: Action, after_s: float = 0) -> None:
    store.finish(dict.fromkeys(store.begin(intents(*actions, after_s=after_s)), Outcome(DONE)))


def test_every_action_is_read_as_it_was_written(store: Store):
    store.begin(intents(*ACTIONS))
    lines = store.open()
    assert tuple(map(to_action, lines)) == ACTIONS
    assert [line.subject for line in lines] == [action.subject for action in ACTIONS]
    assert (lines[0].policies, lines[0].facts) == ('{"flights": "digest"}', '{"left": "$1.00", "running": 2}')


def test_what_has_an_outcome_is_no_longer_open_and_keeps_its_first(store: Store):
    first, second = store.begin(intents(*ACTIONS[:2]))
    store.finish({first: Outcome(DONE, "after a restart"), second: Outcome("", "failed, and is tried again: deaf")})
    store.finish({first: Outcome(DROPPED, "late")})
    assert [(line.seq, line.outcome) for line in store.open()] == [(second, "failed, and is tried again: deaf")]
    assert [(line.state, line.outcome) for line in store.journal("flights")] == [(DONE, "after a restart")]


def test_only_what_was_done_counts(store: Store):
    done(store, SetAllowance("flights", "d", OPEN), HoldJobs("flights", True, "short"))
    store.finish({store.begin(intents(ACTIONS[0]))[0]: Outcome(DROPPED)})
    store.begin(intents(HoldJobs("flights", False, "paid")))
    assert (store.given("flights"), store.rooms(), store.held()) == (OPEN, {"flights": OPEN}, {"flights": "short"})
    done(store, HoldJobs("flights", False, "paid"), ACTIONS[0])
    assert (store.given("flights"), store.held(), store.given("x")) == (ROOM, {}, None)


def test_who_was_told_what_and_when(store: Store):
    told = Notify("flights", "short", "w", "flights", "short")
    store.begin(intents(replace_window(told, "open")))
    done(store, told, after_s=5)
    assert store.told(NOON) == {told.key: NOON + timedelta(seconds=5)}
    assert store.told(NOON + timedelta(seconds=6)) == {}


def replace_window(told: Notify, window: str) -> Notify:
    return Notify(told.subject, told.bound, window, told.policy, told.reason)


def test_the_newest_lines_are_read_oldest_first(store: Store):
    for i in range(4):
        done(store, HoldJobs(f"p{i}", True, str(i)), after_s=i)
    assert [line.reason for line in store.journal(last=2)] == ["2", "3"]


def test_deployments_are_watched_until_they_are_forgotten(store: Store):
    for name in ("b", "a"):
        store.watch(seen(name).watched)
    store.watch(seen("a", 1).watched)
    assert [one.deployment for one in store.watched()] == ["a", "b"]
    store.forget("a")
    assert store.watched() == (seen("b").watched,)
    assert store.watched()[0].policy == policy()


def test_old_lines_go_and_the_newest_of_a_subject_stays(tmp_path: Path):
    store = GovernStore(f"sqlite:///{tmp_path}/mlray.db", "local")
    for i in range(3):
        done(store, SetAllowance("flights", "d", OPEN), HoldJobs("flights", i % 2 == 0, str(i)), after_s=i)
    store.begin(intents(ACTIONS[2]))
    assert store.prune(NOON + timedelta(days=1)) == 4
    assert [(line.action, line.at.second) for line in store.journal()] == [("SetAllowance", 2), ("HoldJobs", 2), ("PauseTrial", 0)]
    assert store.prune(NOON + timedelta(days=1)) == 0


def test_clusters_keep_apart_what_they_did(tmp_path: Path):
    here, there = (GovernStore(f"sqlite:///{tmp_path}/mlray.db", name) for name in ("here", "there"))
    done(here, HoldJobs("flights", True, "short"))
    here.remember({"a": "1", "b": "2"})
    here.remember({"a": "", "b": "3"})
    assert (here.held(), here.remembered()) == ({"flights": "short"}, {"b": "3"})
    assert (there.held(), there.remembered(), there.journal()) == ({}, {}, ())
