"""Advice: each with its dollars and what says so; none where nothing does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mlray.ledger.advise import BUSY, USED, Advice, Facts, advise
from mlray.ledger.entry import Cause, Charge, Usage
from mlray.ledger.receipt import receipt
from mlray.market.offer import Offer
from mlray.market.spec import Capacity, Interruptions
from mlray.units import Duration, Money, Price

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MONTHS = 365 / 12 / 10  # of ten days


def offer(name: str, price: str, cpus: int = 8, capacity: Capacity = Capacity.ON_DEMAND, zone: str = "a", every: str = "") -> Offer:
    lost = Interruptions(every=Duration.parse(every), recovery=Duration.parse("6m")) if every else None
    return Offer(name, zone, capacity, Price.parse(price), cpus, lost)


LARGE = offer("large", "$1/h")


def spent(
    hours: int,
    dollars: str,
    stage: str = "tune",
    share: float = 1.0,
    kind: Offer = LARGE,
    state: str = "running",
    waste: str = "",
    node: str = "n1",
) -> tuple[Charge, ...]:
    """An hour at a time on one node."""
    return tuple(
        Charge(
            f"{stage}{state}{waste}{kind.node_type}{h}",
            NOON + timedelta(hours=h),
            Money(Money.parse(dollars).micros // hours),
            Cause(stage, "job", "flights"),
            Usage(kind.node_type, kind.capacity, 3600.0, share, node, state, "prod"),
            waste=waste,
        )
        for h in range(hours)
    )


def told(charges: tuple[Charge, ...], *offers: Offer) -> dict[str, Advice]:
    found = advise(Facts(receipt(charges, USED), receipt(charges, BUSY), {"prod": offers}, 10.0))
    assert len({one.kind for one in found}) == len(found)
    return {one.kind: one for one in found}


def test_idle_nodes_are_told_with_what_they_cost():
    charges = (*spent(60, "$60"), *spent(40, "$40", "cluster", state="idle", waste="idle"))
    one = told(charges, LARGE)["idle"]
    assert (one.subject, one.monthly) == ("prod/large", Money.parse("$40") * MONTHS)
    assert one.evidence == "$40.00 of $100.00 (40%) paid for 40 idle node-hours in 10 days"
    assert "idle" not in told((*spent(90, "$90"), *spent(10, "$10", "cluster", state="idle", waste="idle")), LARGE)


def test_work_that_restarts_belongs_on_spot_less_what_is_lost_there():
    spot = offer("spot", "$0.30/h", capacity=Capacity.SPOT)
    charges = (*spent(100, "$100"), *spent(90, "$27", kind=spot), *spent(10, "$3", kind=spot, waste="lost"))
    one = told(charges, LARGE, spot)["spot"]
    assert one.monthly == Money.parse("$100") * (1 - 0.3 * (1 + 3 / 27)) * MONTHS
    assert "10.0% of spot work here was lost" in one.evidence and "use spot (spot, $0.30/h) instead of large ($1.00/h)" in one.what
    assert "spot" not in told(spent(100, "$100", "serve"), LARGE, spot)


def test_losses_nobody_saw_are_taken_from_the_cluster_file_or_said_to_be_unknown():
    said = told(spent(100, "$100"), LARGE, offer("spot", "$0.30/h", capacity=Capacity.SPOT, every="1h"))["spot"]
    assert said.monthly == Money.parse("$100") * (1 - 0.3 * 1.1) * MONTHS
    unknown = told(spent(100, "$100"), LARGE, offer("spot", "$0.30/h", capacity=Capacity.SPOT))["spot"]
    assert "not known yet" in unknown.evidence


def test_as_large_and_cheaper_elsewhere():
    one = told(spent(100, "$100", "serve"), LARGE, offer("other", "$0.80/h", zone="b"))["cheaper"]
    assert (one.monthly, one.what) == (Money.parse("$20") * MONTHS, "use other in b (8 CPUs, $0.80/h) instead of large (8 CPUs, $1.00/h)")


def test_a_node_that_is_never_busy_may_be_smaller():
    small, tiny = offer("small", "$0.50/h", 4), offer("tiny", "$0.10/h", 1)
    one = told(spent(100, "$100", "serve", share=0.4), LARGE, small, tiny)["smaller"]
    assert one.monthly == Money.parse("$50") * MONTHS
    assert "its busiest hour used 40% of a node" in one.evidence
    busy = (*spent(100, "$100", "serve", share=0.4), *spent(1, "$1", "serve", share=0.5, state="draining"))
    assert "smaller" not in told(busy, LARGE, small, tiny)  # both in one hour: 90 %
    assert "smaller" not in told(spent(100, "$100", "serve", share=0.4, node=""), LARGE, small, tiny)


def test_without_evidence_or_offers_there_is_no_advice():
    assert told((), LARGE) == {}
    assert told(spent(5, "$5"), LARGE, offer("other", "$0.10/h")) == {}
    assert told(spent(100, "$100")) == {}
    assert told(spent(100, "$0.10"), LARGE, offer("other", "$0.80/h")) == {}
