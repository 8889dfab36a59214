"""cost forecast: what will be spent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlray.cli import show
from mlray.cli.options import Json, duration

if TYPE_CHECKING:
    from mlray.ledger.entry import Cause
    from mlray.ledger.forecast import Forecast
    from mlray.ledger.receipt import Receipt
    from mlray.ledger.store import LedgerStore
    from mlray.policy.spec import Policy
    from mlray.units import Money

commands = typer.Typer()
HOUR, HISTORY = timedelta(hours=1), timedelta(days=56)
CAUSE = ("stage", "job", "policy", "owner", "tags")


@commands.command()
def forecast(
    horizon: Annotated[str | None, typer.Option(help="How far ahead, such as 7d, for everything that is spent.")] = None,
    as_json: Json = False,
) -> None:
    """What will be spent: until the window of each policy in force ends, or as far ahead as you say, and how it is known."""
    from mlray.clock import SystemClock
    from mlray.home import Home
    from mlray.ledger.store import LedgerStore
    from mlray.policy.store import PolicyStore

    now, database = SystemClock().now(), Home.locate().prepare().database
    ledger = LedgerStore(database)
    if horizon:
        said = _ahead(ledger, None, now, now + timedelta(seconds=duration("--horizon", horizon).seconds))
        rows = [{"of": "everything", "until": said.until, **_range(said), "method": said.method}]
    else:
        rows = [_to_window_end(policy, ledger, now) for policy in PolicyStore(database).in_force()]
    if rows or as_json:
        show.rows("forecasts", rows, as_json)
    else:
        print("no policy is in force: say how far ahead with --horizon, such as 7d")


def _to_window_end(policy: Policy, ledger: LedgerStore, now: datetime) -> dict[str, Any]:
    """What a policy's window will have cost at its end, with what it cost until now, against what it may cost."""
    from mlray.ledger.balance import balance, since
    from mlray.policy.match import governs_cause

    def governs(cause: Cause) -> bool:
        return governs_cause(policy, cause)

    held = balance(policy.budget, ledger.standing(policy.name, since(policy.budget, now), governs), now)
    said = _ahead(ledger, governs, now, held.window_end)
    whole = {name: None if part is None else held.spent + part for name, part in _range(said).items()}
    return {"of": policy.name, "until": held.window_end, "spent": held.spent, **whole, "budget": held.amount, "method": said.method}


def _range(said: Forecast) -> dict[str, Money | None]:
    return {"expected": said.expected, "low": said.low, "high": said.high}


def _ahead(ledger: LedgerStore, governs: Callable[[Cause], bool] | None, now: datetime, until: datetime) -> Forecast:
    import numpy as np

    from mlray.ledger.forecast import forecast

    this = now.replace(minute=0, second=0, microsecond=0)
    bill = ledger.sums(this - HISTORY, this, ("hour", *(CAUSE if governs else ())))
    return forecast(_hours(bill, governs, this), now, until, np.random.default_rng(0))


def _hours(bill: Receipt, governs: Callable[[Cause], bool] | None, this: datetime) -> list[Money]:
    """What each whole hour before this one cost, of the causes that count."""
    from mlray.units import ZERO

    sums: dict[str, Money] = {}
    for row in bill.rows:
        if governs is None or governs(_cause(row.group[1:])):
            sums[row.group[0]] = sums.get(row.group[0], ZERO) + row.amount
    return [sums.get(f"{this - back * HOUR:%Y-%m-%dT%H:00Z}", ZERO) for back in range(HISTORY // HOUR, 0, -1)]


def _cause(group: tuple[str, ...]) -> Cause:
    import json

    from mlray.ledger.entry import Cause

    stage, job, policy, owner, tags = group
    return Cause(stage, job, policy, owner=owner, tags=tuple((name, value) for name, value in json.loads(tags)))
