"""A change of policy: it needs a reason, and somebody else's yes where the policy says so."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mlray.errors import RefusedError, SpecError
from mlray.policy.change import Event, Standing, Step, approve, ask, drop, standing
from mlray.policy.spec import Policy
from tests.policy.policies import policy

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
FIRST, SECOND = policy(amount="$80"), policy(amount="$60")
STRICT = policy(amount="$50", approvals=1, approvers=["ada", "bob"])


def after(*steps: tuple[Policy | None, str]) -> tuple[Standing, tuple[Event, ...]]:
    """What stands when each person has asked for each policy in turn."""
    events: tuple[Event, ...] = ()
    for wanted, who in steps:
        events = (*events, *ask(standing("flights", events), wanted, who, "why", NOON))
    return standing("flights", events), events


def test_a_policy_that_demands_no_approval_is_in_force_at_once():
    now, events = after((FIRST, "ada"), (SECOND, "bob"))
    assert (now.in_force, now.since, now.proposal) == (SECOND, NOON, None)
    assert [(e.step, e.before, e.after, e.who) for e in events] == [
        (Step.APPLIED, "", FIRST.digest, "ada"),
        (Step.APPLIED, FIRST.digest, SECOND.digest, "bob"),
    ]


def test_what_is_in_force_already_is_not_applied_again():
    _, events = after((FIRST, "ada"), (FIRST, "bob"))
    assert len(events) == 1


@pytest.mark.parametrize("why", ["", "  "])
def test_a_change_without_a_reason_is_refused(why: str):
    with pytest.raises(SpecError, match="a change of policy needs a reason"):
        ask(Standing("flights"), FIRST, "ada", why, NOON)


def test_a_policy_that_demands_approval_waits_and_the_one_before_stays():
    now, events = after((FIRST, "ada"), (STRICT, "ada"))
    assert now.in_force == FIRST and now.proposal is not None and now.proposal.missing == 1
    with pytest.raises(RefusedError, match="ada asked for this change"):
        approve(now, "ada", "", NOON)
    with pytest.raises(RefusedError, match="eve may not approve policy flights"):
        approve(now, "eve", "", NOON)
    then = standing("flights", (*events, *approve(now, "bob", "fine", NOON)))
    assert (then.in_force, then.proposal) == (STRICT, None)


def test_a_change_cannot_free_itself_of_approval_nor_choose_who_approves():
    events = after((STRICT, "ada"))[1]
    events += approve(standing("flights", events), "bob", "", NOON)
    for wanted in (FIRST, policy(amount="$900", approvals=1, approvers=["eve"]), None):
        now = standing("flights", (*events, *ask(standing("flights", events), wanted, "ada", "why", NOON)))
        assert now.in_force == STRICT and now.proposal is not None
        assert (now.proposal.needed, now.proposal.approvers) == (1, ("ada", "bob"))


def test_two_approvals_are_two_people():
    wanted = policy(approvals=2)
    now, events = after((wanted, "ada"))
    events += approve(now, "bob", "", NOON)
    assert approve(standing("flights", events), "bob", "", NOON) == ()
    events += approve(standing("flights", events), "cid", "", NOON)
    assert standing("flights", events).in_force == wanted


def test_another_proposal_takes_the_place_of_the_one_that_waits_and_its_approvals_do_not_pass_on():
    wanted = policy(approvals=2)
    now, events = after((wanted, "ada"))
    events += approve(now, "bob", "", NOON)
    other = policy(amount="$5000", approvals=2)
    events += ask(standing("flights", events), other, "ada", "more", NOON)
    now = standing("flights", events)
    assert now.proposal is not None and (now.proposal.event.policy, now.proposal.missing) == (other, 2)


def test_what_waits_can_be_dropped():
    now, events = after((STRICT, "ada"))
    now = standing("flights", (*events, *drop(now, "ada", "mistake", NOON)))
    assert (now.in_force, now.proposal) == (None, None)
    with pytest.raises(SpecError, match="nothing waits"):
        approve(now, "bob", "", NOON)


def test_a_policy_that_ends_governs_no_longer_and_can_come_back():
    now, events = after((FIRST, "ada"), (None, "ada"))
    assert (now.in_force, now.since, now.digest) == (None, None, "")
    with pytest.raises(SpecError, match="no policy flights is in force"):
        ask(now, None, "ada", "why", NOON)
    assert standing("flights", (*events, *ask(now, FIRST, "bob", "again", NOON))).in_force == FIRST
