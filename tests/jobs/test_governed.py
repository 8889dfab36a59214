"""Which policies a piece of work stands under."""

from __future__ import annotations

from mlray.jobs.governed import governed
from mlray.policy.spec import Stage
from tests.policy.policies import policy

COMPANY = policy("company", "$500", governs={"teams": ["*"]})
CLICKS = policy("clicks")


def test_a_policy_that_was_never_applied_governs_by_its_file():
    assert governed((), policy(), Stage.TUNE, "flights-tune", {}).policies == (policy(),)


def test_every_policy_in_force_that_matches_governs_beside_the_one_the_file_names():
    found = governed((CLICKS, COMPANY), policy(), Stage.TUNE, "flights-tune", {"team": "flights"})
    assert (found.policies, found.own, found.notes) == ((policy(), COMPANY), policy(), ())


def test_a_wording_that_was_changed_and_not_applied_governs_nothing_and_people_are_told():
    found = governed((policy(),), policy(amount="$9,000"), Stage.SERVE, "flights", {})
    assert found.policies == (policy(),)
    assert found.notes == (
        "policy flights is in force in another wording than its file has: mlray policy diff shows it, policy apply changes it",
    )


def test_a_deployment_is_told_that_places_are_not_chosen_for_it_yet():
    spread = policy(spot={"share": "50%"})
    assert governed((), spread, Stage.TUNE, "flights-tune", {}).notes == ()
    (note,) = governed((), spread, Stage.SERVE, "flights", {}).notes
    assert note.startswith("policy flights: its zones, share of spot and notices are not obeyed on a cluster yet")
