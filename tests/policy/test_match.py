"""Which policies govern what."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mlray.ledger.entry import Cause
from mlray.policy.match import Governance, governing, governs, governs_cause
from mlray.policy.spec import Policy


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


def test_other_tags_and_clusters_have_their_own_patterns():
    paid = policy("paid", governs={"tags": {"tier": ["gold", "silver-*"]}, "clusters": ["local-*"]})
    assert governs(paid, "tune", "any", {"tier": "silver-2"}) and not governs(paid, "tune", "any", {"tier": "bronze"})
    assert governs(paid, "cluster", "local-1", {}) and not governs(paid, "serve", "local-1", {})


def test_what_names_a_policy_counts_against_it_whatever_it_governs():
    assert governs_cause(FLIGHTS, Cause("tune", "weather", "flights"))
    assert governs_cause(TEAM, Cause("tune", "weather", "other", tags=(("team", "delays"),)))
    assert not governs_cause(TEAM, Cause("tune", "weather", "other"))


NAMES = st.text("ab-", min_size=1, max_size=5)
PATTERNS = st.text("ab-*?", min_size=1, max_size=5) | NAMES | st.sampled_from(["a*", "*b", "*", "a[ab]*", "*a*"])
SOME = st.lists(PATTERNS, max_size=3)


@settings(max_examples=100)
@given(st.lists(st.tuples(SOME, SOME, SOME, SOME), max_size=6), st.lists(st.tuples(NAMES, NAMES, NAMES), min_size=1, max_size=4))
def test_looking_names_up_finds_what_trying_every_policy_does(
    governing_lists: list[tuple[list[str], ...]], asked: list[tuple[str, str, str]]
):
    policies = [
        policy(f"p{i}", governs={"jobs": jobs, "deployments": deployments, "teams": teams, "tags": {"tier": tiers, "team": tiers[:1]}})
        for i, (jobs, deployments, teams, tiers) in enumerate(governing_lists)
    ]
    index = Governance(policies)
    for name, team, tier in asked:
        for kind in ("ingest", "tune", "serve", "cluster"):
            tags = {"team": team, "tier": tier}
            assert index.of(kind, name, tuple(tags.items())) == governing(policies, kind, name, tags)


def test_the_policy_that_a_job_names_governs_it_too():
    index = Governance([TEAM, FLIGHTS])
    assert [p.name for p in index.of_cause(Cause("tune", "weather", "flights", tags=(("team", "delays"),)))] == ["flights", "team"]
    assert [p.name for p in index.of_cause(Cause("tune", "weather", "gone"))] == []
