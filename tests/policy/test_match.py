"""Which policies govern what, and which bound wins."""

from __future__ import annotations

from datetime import UTC, datetime

from mlray.ledger.balance import balance
from mlray.policy.match import governing, governs, strictest
from mlray.policy.spec import Policy
from mlray.units import Money, Range

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def policy(name: str, amount: str = "$10", **fields: object) -> Policy:
    return Policy.model_validate({"kind": "policy", "name": name, "governs": {}, "budget": {"amount": amount, "every": "1d"}, **fields})


FLIGHTS = policy("flights", governs={"jobs": ["flights-*"], "deployments": ["flights"]})
TEAM = policy("team", governs={"teams": ["delays"]})


def names(kind: str, name: str, **tags: str) -> list[str]:
    return [p.name for p in governing([TEAM, FLIGHTS], kind, name, tags)]


def test_jobs_match_by_pattern_and_deployments_by_their_own_list():
    assert names("tune", "flights-tune") == ["flights"]
    assert names("serve", "flights") == ["flights"]
    assert names("serve", "flights-tune") == names("ingest", "weather") == []


def test_a_team_tag_brings_the_teams_policy():
    assert names("tune", "flights-tune", team="delays") == ["flights", "team"]
    assert not governs(policy("empty"), "tune", "", {})


def test_the_strictest_bound_wins():
    rich = policy("rich", "$100", availability={"min_ready": 2, "replicas": "2..6"})
    poor = policy("poor", "$5", availability={"min_ready": 1, "replicas": "1..3"})
    bounds = strictest([(p, balance(p.budget, (), NOON)) for p in (rich, poor)], "serve")
    assert bounds is not None
    assert (bounds.left, bounds.left_by) == (Money.parse("$5"), "poor")
    assert (bounds.min_ready, bounds.replicas) == (2, Range(2, 3))
    assert strictest([], "serve") is None
