"""Who may do what: the whole matrix."""

from __future__ import annotations

import pytest

from mlray.access.permit import LEAST, Caller, Denied, Permitted, permit
from mlray.access.spec import Action, Role

MAY = {
    Role.VIEWER: {"status", "predict"},
    Role.SUBMITTER: {"status", "predict", "submit", "stop"},
    Role.OPERATOR: {"status", "predict", "submit", "stop", "deploy", "cluster", "policy"},
    Role.ADMIN: {"status", "predict", "submit", "stop", "deploy", "cluster", "policy", "tokens"},
}


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("action", list(Action))
def test_a_role_may_do_what_the_matrix_says_and_nothing_else(role: Role, action: Action):
    allowed = isinstance(permit(Caller("id", "ada", role), action, "flights"), Permitted)
    assert allowed == (action in MAY[role])


def test_every_action_has_its_least_role():
    assert set(LEAST) == set(Action)


def test_a_denial_names_the_role_it_would_take():
    assert permit(Caller("id", "ada", Role.VIEWER), Action.DEPLOY, "flights") == Denied(
        "the role viewer may not deploy flights: it takes the role operator or above"
    )
