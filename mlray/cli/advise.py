"""advise: what could cost less, with the evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlray.cli import show
from mlray.cli.options import Json, duration

commands = typer.Typer()
Files = Annotated[list[Path] | None, typer.Argument(metavar="CLUSTER...", help="Files of cluster/; left out, every one there is.")]


@commands.command()
def advise(
    files: Files = None,
    since: Annotated[str, typer.Option(help="How far back to look.")] = "30d",
    as_json: Json = False,
) -> None:
    """Where dollars could be saved: idle nodes, a better market, smaller nodes; each by the month, with what says so."""
    from datetime import timedelta

    from mlray.clock import SystemClock
    from mlray.files import load
    from mlray.home import Home
    from mlray.ledger.advise import BUSY, USED, Facts, advise
    from mlray.ledger.store import LedgerStore
    from mlray.market.offer import offers
    from mlray.market.spec import Cluster

    clusters = [load(file, Cluster) for file in files or sorted(Path("cluster").glob("*.yaml"))]
    now, back = SystemClock().now(), timedelta(seconds=duration("--since", since).seconds)
    ledger = LedgerStore(Home.locate().prepare().database)
    first = ledger.first(now - back)
    used, busy = (ledger.sums(now - back, now, by) for by in (USED, BUSY))
    days = (now - (first or now - back)) / timedelta(days=1)
    found = advise(Facts(used, busy, {cluster.cluster_name: offers(cluster) for cluster in clusters}, max(days, 1 / 24)))
    if as_json:
        show.result({"advice": found, "days": days, "clusters": [cluster.cluster_name for cluster in clusters]}, as_json)
        return
    for one in found:
        print(f"{one.monthly} a month  {one.subject}: {one.what}\n    because {one.evidence}")
    if not found:
        print(f"no advice: nothing in {days:.3g} days of the ledger says that a dollar a month could be saved")
