"""Policies for tests, as their files would declare them."""

from __future__ import annotations

from typing import Any

from mlray.policy.spec import Policy


def policy(name: str = "flights", amount: str = "$80", **changed: Any) -> Policy:
    """A day's budget over every job and deployment whose name begins with the policy's; `changed` are further fields."""
    given: dict[str, Any] = {
        "kind": "policy",
        "name": name,
        "governs": {"jobs": [f"{name}*"], "deployments": [f"{name}*"]},
        "budget": {"amount": amount, "every": "1d"},
    }
    return Policy.model_validate(given | changed)
