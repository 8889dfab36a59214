"""Metering: one price per second at the time, whoever looks how often, and every node's dollars add up to its price times its life."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlray.errors import StoreError
from mlray.govern.counter import Counter
from mlray.govern.snapshot import NodeSeen, Replica
from mlray.govern.till import Group, Till
from mlray.ledger.entry import Cause, Entry
from mlray.market.offer import Offer
from mlray.units import Money, Price
from tests.govern.givens import NOON, SPOT, STEADY
from tests.govern.small import ListLedger

CAUSE = Cause("serve", "flights", "flights")
CLUSTER = {"local": Cause("cluster", "local", "flights")}
OFFERS = (SPOT, STEADY)
DEARER = replace(SPOT, price=Price.parse("$2/h"))


class Texts:
    """What is remembered, outliving the till."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def remember(self, texts: Mapping[str, str]) -> None:
        self.kept = {name: text for name, text in {**self.kept, **texts}.items() if text}

    def remembered(self) -> dict[str, str]:
        return dict(self.kept)


class Away(ListLedger):
    """A ledger that is out of reach now and then."""

    away = False

    def append(self, *entries: Entry) -> None:
        if self.away:
            raise StoreError("no database")
        super().append(*entries)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def group(*replicas: Replica) -> list[Group]:
    return [Group("flights", CAUSE, replicas)]


def one(offer: Offer | None = SPOT, node: str = "") -> Replica:
    return Replica("r", offer, 0.5, NOON, node)


def billed(ledger: ListLedger) -> list[tuple[float, str]]:
    return [(c.usage.seconds, str(c.amount)) for c in ledger.charges()]


def test_a_new_price_counts_from_the_look_that_sees_it():
    ledger, texts = ListLedger(), Texts()
    till = Till(ledger, texts)
    for seconds, offer in ((10, SPOT), (20, DEARER), (40, DEARER)):
        till.charge(group(one(offer)), OFFERS, at(seconds))
    assert billed(ledger) == [(20, "$0.001389"), (20, "$0.002778")]


def test_a_price_that_changed_before_a_death_still_counts_for_its_own_seconds():
    ledger, texts = Away(), Texts()
    till = Till(ledger, texts)
    till.charge(group(one()), OFFERS, at(10))
    ledger.away = True
    till.charge(group(one(DEARER)), OFFERS, at(12))
    ledger.away = False
    Till(ledger, texts).charge(group(one(DEARER)), OFFERS, at(32))
    assert billed(ledger) == [(12, "$0.000833"), (20, "$0.002777")]


def test_what_went_away_while_nobody_looked_is_charged_to_the_last_look():
    ledger, texts = ListLedger(), Texts()
    Till(ledger, texts).charge(group(one()), OFFERS, at(10))
    late = Till(ledger, texts)
    late.charge(group(), OFFERS, at(500))
    late.charge(group(), OFFERS, at(505))
    Till(ledger, texts).charge(group(), OFFERS, at(900))
    assert billed(ledger) == [(10, "$0.000694")]
    assert list(texts.kept) == ["looked"]


def test_a_charge_says_where_it_ran_and_what_it_would_have_cost_on_demand():
    ledger = ListLedger()
    Till(ledger, Texts()).charge(group(one(node="n1")), OFFERS, at(20))
    found = ledger.charges()[0]
    assert (found.usage.node, found.usage.state, found.list_amount) == ("n1", "running", Money.parse("$0.004167"))


def test_what_has_run_up_is_known_before_it_is_booked():
    till = Till(ListLedger(), Texts())
    same = group(one())
    till.charge(same, OFFERS, at(1))
    for seconds in (5, 14):
        till.charge(same, OFFERS, at(seconds))
        assert till.owed(at(seconds)) == {"flights": Money(int(250_000 * seconds / 3600))}
    till.charge(same, OFFERS, at(15))
    assert till.owed(at(15)) == {"flights": Money(0)}


def test_an_unknown_price_is_charged_once_it_is_known():
    ledger = ListLedger()
    till = Till(ledger, Texts())
    till.charge(group(one(None)), (), at(20))
    till.charge(group(one()), OFFERS, at(40))
    assert billed(ledger) == [(40, "$0.002778")]


def node(name: str, offer: Offer, tenants: tuple[str, ...] = (), state: str = "running") -> NodeSeen:
    return NodeSeen(name, "local", offer, NOON, state, name == "head", tenants, 0.5 * len(tenants))


LIFE = st.lists(
    st.tuples(st.integers(1, 200), st.booleans(), st.booleans(), st.sampled_from(["running", "draining"]), st.booleans()), max_size=12
)


@settings(max_examples=60, deadline=None)
@given(LIFE)
def test_a_nodes_dollars_are_its_price_times_its_life(life: list[tuple[int, bool, bool, str, bool]]):
    """Prices and states change, work comes and goes, governors die: what the node and its work cost is what the node cost."""
    ledger, texts = ListLedger(), Texts()
    counter, now, exact, price = Counter(ledger, texts, 15.0), 0, 0, SPOT
    replica: tuple[Replica, ...] = ()
    for seconds, works, dear, state, dies in life:
        offer = DEARER if dear else SPOT
        replica = () if not works else replica if replica and replica[0].offer == offer else (Replica(f"r{now}", offer, 0.5, at(now), "n"),)
        counter = Counter(ledger, texts, 15.0) if dies else counter
        tenants = ("flights",) if works else ()
        counter.charge(group(*replica), OFFERS, at(now))
        counter.nodes((node("n", offer, tenants, state),), CLUSTER, OFFERS, at(now))
        price, exact, now = offer, exact + offer.price.per_hour.micros * seconds, now + seconds
        counter.charge(group(*replica), OFFERS, at(now))
        counter.nodes((node("n", price, tenants, state),), CLUSTER, OFFERS, at(now))
    counter.charge(group(), OFFERS, at(now + 5))
    counter.nodes((), CLUSTER, OFFERS, at(now + 5), all_of_it=True)
    assert sum(c.amount.micros for c in ledger.charges()) == pytest.approx(exact / 3600, abs=1)


def test_heads_and_idle_nodes_are_charged_to_their_cluster_and_work_is_taken_out():
    ledger = ListLedger()
    counter = Counter(ledger, Texts(), 15.0)
    nodes = (node("head", STEADY), node("n", SPOT, ("flights",)))
    for seconds in (0, 60, 120):
        counter.charge(group(one(node="n")), OFFERS, at(seconds))
        counter.nodes(nodes, CLUSTER, OFFERS, at(seconds))
    kinds: dict[tuple[str, str, str], int] = {}
    for charge in ledger.charges():
        kind = (charge.cause.stage, charge.usage.node, charge.usage.state)
        kinds[kind] = kinds.get(kind, 0) + charge.amount.micros
    assert kinds == {
        ("cluster", "head", "running"): 100_000,
        ("serve", "n", "running"): 8_333,
        ("cluster", "n", "idle"): 33_333 - 8_333,
    }


@pytest.mark.parametrize("seconds", [61, 75, 119])
def test_what_nodes_run_up_is_known_before_it_is_booked(seconds: int):
    """A head at $3.00/h, and half a node at $1.00/h that is a quarter busy."""
    counter = Counter(ListLedger(), Texts(), 15.0)
    nodes, work = (node("head", STEADY), node("n", SPOT, ("flights",))), group(one(node="n"))
    for look in (0, 60, seconds):
        counter.charge(work, OFFERS, at(look))
        counter.nodes(nodes, CLUSTER, OFFERS, at(look))
    owed = counter.owed(at(seconds))["cluster/local"].micros
    assert owed == pytest.approx((3_000_000 + 750_000) * (seconds - 60) / 3600, abs=2)
