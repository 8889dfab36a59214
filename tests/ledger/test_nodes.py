"""Nodes: whatever works on them and whenever one looks, the charges sum to the integral of the price."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlray.ledger.entry import Cause, Charge, Usage
from mlray.ledger.meter import charge
from mlray.ledger.nodes import MICROSECOND, NodeLife, charged_to, node_charges, relief
from mlray.ledger.receipt import receipt
from mlray.ledger.store import LedgerStore
from mlray.units import ZERO, Money, Price

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
CLUSTER = Cause("cluster", "prod", "flights", tags=(("team", "travel"),))
WORK = Cause("tune", "search", "flights", "r1", "t1")
DOLLAR = Price.parse("$3.60/h")  # a tenth of a cent a second


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def node(**given: object) -> NodeLife:
    life = NodeLife("n1", "spot-2", "spot", ((NOON, DOLLAR),), NOON, CLUSTER, cluster="prod")
    return replace(life, **given)  # type: ignore[arg-type]


def total(charges: tuple[Charge, ...], **where: str) -> Money:
    return sum((c.amount for c in charges if all(getattr(c.usage, name) == value for name, value in where.items())), ZERO)


def work(begin_s: float, seconds: float, share: float = 1.0, price: Price = DOLLAR, key: str = "w") -> Charge:
    return charge(key, after(begin_s + seconds), Usage("spot-2", "spot", seconds, share, "n1"), price, WORK)


def test_a_node_without_work_is_idle_and_one_that_starts_or_drains_says_so():
    life = node(states=((NOON, "starting"), (after(30), "running"), (after(100), "draining")), ended=after(120))
    charges = node_charges(life, None, after(1000))
    assert [(c.usage.state, c.usage.seconds, str(c.amount), c.waste) for c in charges] == [
        ("starting", 30, "$0.03", ""),
        ("idle", 30, "$0.03", "idle"),
        ("idle", 40, "$0.04", "idle"),
        ("draining", 20, "$0.02", ""),
    ]
    assert {c.cause.item for c in charges} == {life.item}


def test_a_head_serves_its_cluster():
    assert {c.usage.state: c.waste for c in node_charges(node(head=True), None, after(60))} == {"running": ""}


def test_work_is_taken_out_of_what_the_cluster_pays():
    life, half = node(), work(0, 60, 0.5)
    charges = (*node_charges(life, None, after(120)), half, *relief([half], {"n1": life}))
    bill = {row.group: row for row in receipt(charges, ("stage", "state")).rows}
    assert (bill["tune", "running"].amount, bill["cluster", "idle"].amount) == (Money.parse("$0.03"), Money.parse("$0.09"))
    assert bill["cluster", "idle"].node_seconds == 90


def test_work_mostly_while_a_node_drains_is_taken_out_of_that():
    life = node(states=((after(60), "draining"),), ended=after(120))
    late = work(30, 90)
    charges = (*node_charges(life, None, after(120)), *relief([late], {"n1": life}))
    assert (total(charges, state="idle"), total(charges, state="draining")) == (Money.parse("$0.06"), -Money.parse("$0.03"))
    assert total((*charges, late)) == Money.parse("$0.12")


def test_more_work_than_the_node_has_leaves_less_than_nothing_and_the_sum_holds():
    life, both = node(ended=after(60)), (work(0, 60, key="a"), work(0, 60, 0.5, key="b"))
    charges = (*node_charges(life, None, after(60)), *both, *relief(both, {"n1": life}))
    assert (total(charges, state="idle"), total(charges)) == (-Money.parse("$0.03"), Money.parse("$0.06"))


def test_work_on_a_node_nobody_knows_and_a_clusters_own_charges_are_left_alone():
    life = node()
    assert relief([replace(work(0, 5), usage=Usage("spot-2", "spot", 5, node="other"))], {"n1": life}) == ()
    assert relief(node_charges(life, None, after(60)), {"n1": life}) == ()


def test_time_at_an_unknown_price_is_not_charged():
    life = node(prices=((NOON, DOLLAR), (after(20), None), (after(40), DOLLAR)))
    assert [(c.usage.seconds, str(c.amount)) for c in node_charges(life, None, after(60))] == [(20, "$0.02"), (20, "$0.02")]


def test_a_slice_counts_in_the_hour_it_was_spent_in():
    charges = node_charges(node(begun=after(-60)), None, after(60))
    assert [c.at for c in charges] == [NOON - MICROSECOND, after(60) - MICROSECOND]
    assert charged_to(charges[-1].at) == after(60)


def test_a_slice_divides_the_hour():
    with pytest.raises(ValueError, match="does not divide an hour"):
        node_charges(node(), None, after(60), slice_s=7)


seconds = st.integers(0, 3 * 3600 * 10**6).map(lambda us: us / 1e6)
prices = st.integers(0, 10**8).map(lambda micros: Price(Money(micros)))


@st.composite
def lives(draw: st.DrawFn) -> NodeLife:
    begun = after(draw(seconds))
    length = timedelta(seconds=draw(seconds))
    changes = sorted(draw(st.lists(st.tuples(seconds, prices), max_size=4, unique_by=lambda c: c[0])), key=lambda c: c[0])
    states = sorted(
        draw(st.lists(st.tuples(seconds, st.sampled_from(["starting", "running", "draining"])), max_size=4, unique_by=lambda c: c[0]))
    )
    return NodeLife(
        "n1",
        "spot-2",
        "spot",
        ((begun, draw(prices)), *((begun + timedelta(seconds=s), p) for s, p in changes if s)),
        begun,
        CLUSTER,
        begun + length,
        tuple((begun + timedelta(seconds=s), state) for s, state in states),
    )


def integral(life: NodeLife) -> Money:
    """By the definition: the sum over the spans between changes, exactly, rounded once, half to even."""
    assert life.ended
    edges = [*(at for at, _ in life.prices), life.ended]
    exact = Fraction(0)
    for (at, price), end in zip(life.prices, edges[1:], strict=True):
        span = max(timedelta(0), min(end, life.ended) - at)
        exact += Fraction(price.per_hour.micros if price else 0) * (span // MICROSECOND) / (3600 * 10**6)
    return Money(round(exact))


@given(
    lives(),
    st.lists(st.tuples(seconds, seconds, st.floats(0, 1), prices), max_size=6),
    st.lists(seconds, max_size=4),
    st.sampled_from([15.0, 60.0, 900.0, 3600.0]),
)
def test_all_charges_sum_to_the_integral_of_the_price(life, works, looks, slice_s):
    done = [
        charge(f"w{i}", life.begun + timedelta(seconds=b + s), Usage("spot-2", "spot", s, share, "n1"), price, WORK)
        for i, (b, s, share, price) in enumerate(works)
    ]
    ledger: dict[str, Charge] = {}
    for look in (*sorted(looks), 7 * 3600.0):  # after the last, the node has ended
        until = life.begun + timedelta(seconds=look)
        mine = [at.at for at in ledger.values() if at.cause.item == life.item]
        known = [w for w in done if w.at <= until]
        for one in (*node_charges(life, charged_to(max(mine)) if mine else None, until, slice_s), *known, *relief(known, {"n1": life})):
            assert ledger.setdefault(one.key, one) == one
    assert sum((c.amount for c in ledger.values()), ZERO) == integral(life)
    again = node_charges(life, None, life.begun + timedelta(days=1), slice_s)
    assert {c.key: c for c in again} == {k: c for k, c in ledger.items() if c.cause.item == life.item}


def test_the_receipts_of_a_ledger_sum_to_the_integral_of_the_price(tmp_path: Path):
    store, life = (
        LedgerStore(f"sqlite:///{tmp_path}/ledger.db"),
        node(ended=after(3700), prices=((NOON, DOLLAR), (after(77), Price.parse("$0.97/h")))),
    )
    works = [work(13 * i, 11.7, 0.3, key=f"w{i}") for i in range(60)]
    for look in (100, 1000, 5000):
        store.settle([life.item], lambda known: node_charges(life, charged_to(known[life.item].until) if known else None, after(look)))  # noqa: B023
        done = [w for w in works if w.at <= after(look)]
        store.append(*done)
        store.settle([], lambda known: relief(done, {"n1": life}))  # noqa: B023
    bill = store.sums(by=("stage", "state"))
    assert bill.total == integral(life) == sum((row.amount for row in bill.rows), ZERO)
    assert {row.group for row in bill.rows} == {("tune", "running"), ("cluster", "idle")}
    assert abs(bill.whole.node_seconds - 3700) < 1e-6
