"""Which work stands on which node, and since when one has none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mlray.govern.machines import Bought
from mlray.govern.snapshot import NodeSeen
from mlray.govern.standing import OTHER, Standing, nodes

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HEAD, SPOT, NEW = (
    Bought(f"local/{name}/1", f"127.0.0.{i}", name.split("-")[0], NOON) for i, name in enumerate(("head", "spot-1", "spot-2"))
)
ALL = (HEAD, SPOT, NEW)
FLIGHTS, RUN = {"flights": frozenset({SPOT.name})}, {"run-1": frozenset({SPOT.name})}


def look(
    known: Standing, used: dict[str, float], seconds: float = 0, drained: frozenset[str] = frozenset()
) -> tuple[Standing, dict[str, NodeSeen]]:
    known = known.looked(ALL, used, "head", NOON + timedelta(seconds=seconds))
    return known, {node.id.split("/")[1]: node for node in nodes("local", "head", ALL, used, known, drained, {})}


def test_deployments_and_runs_stand_where_they_say_and_all_of_them_on_the_head():
    _, seen = look(Standing(FLIGHTS, RUN), {HEAD.ip: 0.0, SPOT.ip: 1.5, NEW.ip: 0.0})
    assert [(n.tenants, n.state, n.busy_cpus) for n in seen.values()] == [
        (("flights", "run-1"), "running", 0.0),
        (("flights", "run-1"), "running", 1.5),
        ((), "idle", 0.0),
    ]
    assert seen["head"].head and seen["head"].idle_since is None and seen["spot-2"].idle_since == NOON


def test_cpus_in_use_belong_to_a_run_that_does_not_say_where_it_works_else_to_nobody_known():
    used = {HEAD.ip: 0.0, SPOT.ip: 1.0, NEW.ip: 0.0}
    assert look(Standing(working={"ingest-1": frozenset()}), used)[1]["spot-1"].tenants == ("ingest-1",)
    assert look(Standing(), used)[1]["spot-1"].tenants == (OTHER,)


def test_a_node_is_idle_since_its_work_left_or_since_it_was_first_seen():
    known, seen = look(Standing(FLIGHTS), {SPOT.ip: 0.5}, 5)
    known, seen = look(Standing(busy=known.busy, joined=known.joined), {SPOT.ip: 0.0}, 10)
    assert seen["spot-1"].idle_since == NOON + timedelta(seconds=5) == seen["head"].idle_since
    known, seen = look(replace(known, serving=FLIGHTS), {SPOT.ip: 0.0}, 20)
    known, seen = look(replace(known, serving={}), {SPOT.ip: 0.0}, 30)
    assert seen["spot-1"].idle_since == NOON + timedelta(seconds=20) == seen["head"].idle_since
    known, seen = look(known, {SPOT.ip: 0.0}, 100)
    assert seen["spot-1"].idle_since == NOON + timedelta(seconds=20)
    assert look(known, {SPOT.ip: 1.0}, 105)[1]["spot-1"].idle_since is None


def test_a_node_starts_until_it_joins_and_is_leaving_when_it_is_drained_or_silent():
    known, seen = look(Standing(), {SPOT.ip: 0.0})
    assert (seen["spot-1"].state, seen["spot-2"].state) == ("idle", "starting")
    known, seen = look(known, {NEW.ip: 0.0}, 5, frozenset({NEW.name}))
    assert (seen["spot-1"].state, seen["spot-2"].state) == ("draining", "draining")


def test_what_is_gone_is_forgotten():
    known, _ = look(Standing(), {SPOT.ip: 0.0})
    assert known.looked((HEAD,), {}, "head", NOON).busy.keys() == {HEAD.name}
    assert known.looked((HEAD,), {}, "head", NOON).joined == frozenset()
