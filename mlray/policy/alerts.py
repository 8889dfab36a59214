"""Alerts: which of a budget's thresholds are crossed, and whether it will be passed as things go."""

from __future__ import annotations

from dataclasses import dataclass

from mlray.ledger.balance import Balance
from mlray.policy.explain import forecast_sentence, moment
from mlray.policy.spec import Policy
from mlray.units import Percent

FORECAST = "forecast"


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to tell people once in a window. `bound` is the threshold, such as `80%`, or `forecast`."""

    bound: str
    reason: str


def crossed(policy: Policy, balance: Balance) -> tuple[Alert, ...]:
    """Every threshold that the charges of this window have reached, lowest first, then the forecast.

    What is reserved counts as not spent: it may come back. Nothing is foretold of an amount that is passed already.
    """
    told = [Alert(str(at), _reached(policy, balance, at)) for at in sorted(policy.budget.alerts.at) if _is_reached(balance, at)]
    passes = balance.forecast > balance.amount >= balance.spent
    if policy.budget.alerts.forecast and passes:
        told.append(Alert(FORECAST, forecast_sentence(policy.name, balance)))
    return tuple(told)


def _is_reached(balance: Balance, at: Percent) -> bool:
    """In whole micro-dollars: 100% of an amount is reached by exactly that amount. A threshold of 0% by the first charge."""
    return balance.spent.micros > 0 and balance.spent >= balance.amount * at.fraction


def _reached(policy: Policy, balance: Balance, at: Percent) -> str:
    return f"policy {policy.name} has spent {balance.spent}, {at} or more of its {balance.amount} until {moment(balance.window_end)}"
