"""cost: the bill."""

from __future__ import annotations

from typing import Annotated

import typer

from mlray.cli import show
from mlray.cli.options import Json, duration

commands = typer.Typer()


@commands.command()
def cost(
    by: Annotated[
        str, typer.Option(help="Columns: stage, job, run, item, owner, policy, capacity, node-type, or a tag.")
    ] = "stage,job,team,capacity",
    policy: Annotated[str | None, typer.Option(help="Only what counts against this policy.")] = None,
    since: Annotated[str | None, typer.Option(help="Only this far back, such as 1d.")] = None,
    as_json: Json = False,
) -> None:
    """What was spent, from the ledger."""
    from datetime import timedelta

    from mlray.clock import SystemClock
    from mlray.home import Home
    from mlray.ledger.receipt import receipt
    from mlray.ledger.store import LedgerStore

    start = SystemClock().now() - timedelta(seconds=duration("--since", since).seconds) if since else None
    bill = receipt(LedgerStore(Home.locate().prepare().database).entries(policy=policy, since=start), tuple(by.split(",")))
    if as_json:
        rows = [dict(zip(bill.by, row.group, strict=True)) | {"seconds": row.seconds, "amount_usd": row.amount.usd} for row in bill.rows]
        show.result({"by": bill.by, "rows": rows, "total_usd": bill.total.usd}, as_json)
        return
    lines = [(*row.group, f"{row.seconds:,.1f}", str(row.amount)) for row in bill.rows]
    end = ("total", *[""] * (len(bill.by) - 1), f"{sum(row.seconds for row in bill.rows):,.1f}", str(bill.total))
    print("\n".join(show.columns([(*bill.by, "node seconds", "amount"), *lines, end])))
