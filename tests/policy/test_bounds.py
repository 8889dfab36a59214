"""Several policies on one piece of work: the strictest bound wins, and says whose it is."""

from __future__ import annotations

from datetime import UTC, datetime

from mlray.ledger.balance import balance
from mlray.ledger.entry import Cause
from mlray.policy.bounds import Bounds, By, kept, strictest
from mlray.policy.claim import Claim
from mlray.policy.explain import bounds_sentences, promise_sentences
from mlray.policy.spec import Policy, WhenShort
from mlray.units import Duration, Money, Percent, Price, Range

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)  # a Sunday
FLIGHTS = Cause("serve", "flights", "flights")


def policy(name: str, budget: dict[str, object], **fields: object) -> Policy:
    return Policy.model_validate({"kind": "policy", "name": name, "governs": {}, "budget": {"every": "1d", **budget}, **fields})


RICH = policy(
    "rich",
    {"amount": "$100", "grace": "10m"},
    availability={"min_ready": 2, "replicas": "2..6", "target": "99.9%", "cold_start": "5m"},
    spot={"share": "50%", "zones": ["eu-*"]},
    data={"keep": "90d", "highest_class": "personal", "regions": ["eu-*"]},
)
POOR = policy(
    "poor",
    {"amount": "$5", "rate": "$2/h", "when_short": {"serve": "stop"}},
    availability={"min_ready": 1, "replicas": "1..3", "survive": 1, "zones": 2},
    spot={"on_demand": 1, "rebuy": "10m"},
    data={"highest_class": "internal"},
    windows=[{"name": "weekends", "days": ["sat", "sun"], "target": "99.99%"}],
)


def bounds(*policies: Policy) -> Bounds:
    found = strictest([Claim(p, balance(p.budget, (), NOON)) for p in policies], FLIGHTS, NOON)
    assert found is not None
    return found


def test_the_strictest_of_each_bound_wins_and_names_its_policy():
    found = bounds(RICH, POOR)
    assert (found.left, found.rate) == (By(Money.parse("$5"), "poor"), By(Price.parse("$2/h"), "poor"))
    assert (found.min_ready, found.survive, found.zones) == (By(2, "rich"), By(1, "poor"), By(2, "poor"))
    assert (found.least, found.most, found.replicas) == (By(2, "rich"), By(3, "poor"), Range(2, 3))
    assert (found.spot_share, found.on_demand) == (By(Percent(0.5), "rich"), By(1, "poor"))
    assert (found.rebuy, found.grace) == (By(Duration(600), "poor"), By(Duration(0), "poor"))
    assert (found.when_short, found.cold_start) == (By(WhenShort.STOP, "poor"), By(Duration(300), "rich"))
    assert (found.keep, found.highest_class) == (By(Duration(90 * 86400), "rich"), By("internal", "poor"))
    assert (found.spot_zones, found.regions) == ((By(("eu-*",), "rich"),),) * 2


def test_a_window_that_holds_now_counts():
    assert bounds(RICH, POOR).target == By(Percent(0.9999), "poor")


def test_a_promise_above_what_another_policy_allows_widens_the_range():
    most = policy("small", {"amount": "$1"}, availability={"replicas": "1..1"})
    assert bounds(RICH, most).replicas == Range(2, 2)


def test_a_balance_that_cannot_be_read_is_the_strictest_of_all():
    found = strictest([Claim(RICH, None), Claim(POOR, balance(POOR.budget, (), NOON))], FLIGHTS, NOON)
    assert found is not None and found.left == By(None, "rich")
    assert strictest([], FLIGHTS, NOON) is None


def test_each_bound_reads_as_a_sentence_with_its_policy():
    both = bounds(RICH, POOR)
    assert bounds_sentences(both)[:3] == (
        "$5.00 left (policy poor)",
        "at most $2.00/h (policy poor)",
        "data read only in eu-* (policy rich)",
    )
    assert promise_sentences(both)[:2] == ("2 promised ready (policy rich)", "target 99.99% (policy poor)")
    assert "no columns above internal (policy poor)" in bounds_sentences(both)
    assert "1 always on demand (policy poor)" in promise_sentences(both)
    assert not any("on spot" in said or "/h" in said for said in (*promise_sentences(bounds(POOR)), *bounds_sentences(bounds(RICH))))


def test_data_are_kept_no_longer_than_the_job_and_every_policy_says():
    week, none = policy("week", {"amount": "$1"}, data={"keep": "7d"}), policy("none", {"amount": "$1"})
    day = Duration(86400)
    assert [kept(declared, [RICH, week, none]) for declared in (None, day, Duration(30 * 86400))] == [
        Duration(7 * 86400),
        day,
        Duration(7 * 86400),
    ]
    assert kept(None, [none]) is None
