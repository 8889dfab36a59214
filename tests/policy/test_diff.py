"""What another wording changes, field by field."""

from __future__ import annotations

from mlray.policy.diff import Difference, differences
from tests.policy.policies import policy


def test_fields_that_differ_are_named_with_both_values():
    before = policy(amount="$80", availability={"replicas": "1..4"})
    after = policy(amount="$60", availability={"replicas": "1..8"}, governs={"jobs": ["flights*", "late*"], "deployments": ["flights*"]})
    assert differences(before, after) == (
        Difference("governs.jobs", "[flights*]", "[flights*, late*]"),
        Difference("availability.replicas", "1..4", "1..8"),
        Difference("budget.amount", "$80.00", "$60.00"),
    )


def test_a_default_that_is_written_out_changes_nothing():
    assert differences(policy(), policy(approvals=0, budget={"amount": "$80.00", "every": "24h", "stages": {}})) == ()


def test_blocks_of_a_list_are_compared_by_their_place():
    night, weekend = {"name": "night", "hours": "22:00-06:00", "replicas": "0..0"}, {"name": "weekend", "days": ["sat"], "min_ready": 0}
    found = differences(policy(windows=[night]), policy(windows=[night | {"hours": "21:00-06:00"}, weekend]))
    assert Difference("windows[0].hours", "22:00-06:00", "21:00-06:00") in found
    assert Difference("windows[1].name", "-", "weekend") in found


def test_a_policy_that_is_new_differs_in_everything_it_says():
    assert Difference("budget.amount", "-", "$80.00") in differences(None, policy())
