"""Random worlds under a virtual clock: no more than one look's burn past a hard budget, promised floors kept, people told once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from mlray.clock import VirtualClock
from mlray.govern.actions import Notify
from mlray.govern.loop import Governor
from mlray.govern.memory import MemoryStore
from mlray.govern.snapshot import Watched
from mlray.ledger.entry import Cause
from mlray.market.offer import Offer
from mlray.market.spec import Capacity, Interruptions
from mlray.policy.spec import Policy
from mlray.units import Duration, Money, Price
from tests.govern.small import ListLedger, Served, SmallWorld, hold, searching

START = datetime(2026, 11, 22, tzinfo=UTC)
OFFER = Offer("spot", "a", Capacity.SPOT, Price.parse("$1.20/h"), 2, Interruptions(every=Duration(14400), recovery=Duration(30)))
HOUR = timedelta(hours=1)


def ruled(name: str, cents: int, hard: bool, **governs: Any) -> Policy:
    return Policy.model_validate(
        {
            "kind": "policy",
            "name": name,
            "governs": governs,
            "availability": {"min_ready": 1, "replicas": "1..6", "target": "99%"},
            "budget": {"amount": f"${cents / 100:.2f}", "every": "hour", "when_short": {"serve": "stop" if hard else "keep-floor"}},
        }
    )


@dataclass
class Story:
    """What happened: how much of each hour's dollars was spent, and how much one look of it cost at most."""

    spent: dict[datetime, int] = field(default_factory=dict)
    served: dict[datetime, int] = field(default_factory=dict)
    a_look: dict[datetime, float] = field(default_factory=dict)
    fewest: int = 1_000
    told: list[str] = field(default_factory=list)


def govern(
    policies: tuple[Policy, ...], loads: list[list[int]], values: list[list[float]], held: Money, tick_s: float, looks: int
) -> Story:
    clock, ledger, story = VirtualClock(START), ListLedger(), Story()
    own = policies[0]
    served = tuple(
        Served(Watched(f"d{i}", own, 0.5, "any", Cause("serve", f"d{i}", own.name)), tuple(wanted)) for i, wanted in enumerate(loads)
    )
    searches = {f"s{i}": searching(f"s{i}", own.name, found, Money.parse("$0.30")) for i, found in enumerate(values)}
    world = SmallWorld(OFFER, served, dict(searches), now=START)
    ledger.append(*(hold(run, held, START) for run in searches.values()))
    store = MemoryStore()
    for one in served:
        store.watch(one.watched)

    def tell(notice: Notify) -> None:
        story.told.append(notice.key)

    governor = Governor(world, ledger, store, clock, policies=lambda: policies, tell=tell, slice_s=tick_s, tick_s=tick_s)
    for _ in range(looks):
        governor.tick()
        hour = clock.now().replace(minute=0, second=0)
        story.a_look[hour] = max(story.a_look.get(hour, 0.0), world.burn() * tick_s / 3600)
        story.fewest = min([story.fewest, *(len(world.running.get(one.watched.deployment, ())) for one in served)])
        ledger.append(*world.turn(tick_s))
        clock.sleep(tick_s)
    governor.tick(charge_all=True)
    for charge in ledger.charges():
        hour = charge.at.replace(minute=0, second=0)
        story.spent[hour] = story.spent.get(hour, 0) + charge.amount.micros
        story.served[hour] = story.served.get(hour, 0) + (charge.amount.micros if charge.cause.stage == "serve" else 0)
    return story


LOADS = st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=8), min_size=1, max_size=3)
VALUES = st.lists(st.lists(st.floats(0.1, 9.0), min_size=1, max_size=4), max_size=2)


@settings(max_examples=25, deadline=None)
@given(LOADS, VALUES, st.integers(20, 400), st.integers(0, 200), st.sampled_from([30.0, 60.0, 120.0]))
def test_no_more_than_one_look_is_spent_past_a_hard_budget(
    loads: list[list[int]], values: list[list[float]], cents: int, held: int, tick_s: float
):
    policy = ruled("hard", cents, True, deployments=["*"], jobs=["*"])
    story = govern((policy,), loads, values, Money(held * 10_000), tick_s, int(2.5 * 3600 / tick_s))
    over = {hour: spent - cents * 10_000 for hour, spent in story.spent.items()}
    event(f"spent up: {any(found > -50_000 for found in over.values())}")
    assert all(found <= story.a_look.get(hour, 0) + 1 for hour, found in over.items()), (over, story.a_look)
    assert len(story.told) == len(set(story.told))


@settings(max_examples=15, deadline=None)
@given(LOADS, VALUES, st.integers(5, 200))
def test_a_promised_floor_is_kept_whatever_is_spent_and_nothing_else_is(loads: list[list[int]], values: list[list[float]], cents: int):
    policy = ruled("soft", cents, False, deployments=["*"], jobs=["*"])
    story = govern((policy,), loads, values, Money.parse("$1"), 60.0, 150)
    floors = len(loads) * 0.30 * 1_000_000  # one replica of each is a quarter of a node
    assert story.fewest >= 1
    for hour, spent in story.spent.items():
        assert spent <= max(cents * 10_000, floors) + floors + story.a_look.get(hour, 0), (hour, story.spent)
    assert len(story.told) == len(set(story.told))


@settings(max_examples=12, deadline=None)
@given(LOADS, st.integers(20, 300), st.integers(20, 300))
def test_of_two_hard_budgets_neither_is_overspent(loads: list[list[int]], mine: int, theirs: int):
    policies = ruled("mine", mine, True, deployments=["*"]), ruled("theirs", theirs, True, deployments=["d*"])
    story = govern(policies, loads, [[1.0, 2.0]], Money.parse("$0.10"), 60.0, 150)
    for hour, look in story.a_look.items():
        assert story.spent.get(hour, 0) <= mine * 10_000 + look + 1
        assert story.served.get(hour, 0) <= theirs * 10_000 + look + 1


def test_the_money_is_used_before_it_is_gone():
    """What is not spent for want of courage is no saving: a hard budget of $2.00 is used to its last look."""
    policy = ruled("hard", 200, True, deployments=["*"], jobs=["*"])
    story = govern((policy,), [[6]], [[1.0, 2.0, 3.0]], Money.parse("$1"), 30.0, 240)
    assert all(spent >= 1_800_000 for spent in list(story.spent.values())[:2]), story.spent
