"""up, down, status: clusters from YAML."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlray.cli import show
from mlray.cli.options import Json
from mlray.cli.progress import working

if TYPE_CHECKING:
    from mlray.jobs.overview import Offered
    from mlray.launch.status import Status

commands = typer.Typer()
Name = Annotated[str | None, typer.Argument(help="The cluster; may be left out where one is up.")]


@commands.command()
def up(file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of cluster/.")], as_json: Json = False) -> None:
    """Start a cluster from its file."""
    from mlray.home import Home
    from mlray.jobs import run as jobs

    with working() as tell:
        done = jobs.up(Home.locate().prepare(), file, tell)
    if as_json:
        show.result(done, as_json)
    else:
        print("\n".join([*lines(done.status), "", f"up in {done.seconds:.0f} s" if done.fresh else "up since before"]))


@commands.command()
def down(name: Name = None, as_json: Json = False) -> None:
    """Stop a cluster; data, models and the ledger stay."""
    from mlray.home import Home
    from mlray.jobs import run as jobs
    from mlray.launch import on_ray

    home = Home.locate()
    stopped = name or on_ray.only(home)
    with working() as tell:
        was_up = jobs.down(home, stopped, tell)
    show.result({"cluster": stopped, "was_up": was_up}, as_json)


@commands.command()
def status(name: Name = None, as_json: Json = False) -> None:
    """What runs, where, at what price, and what is served."""
    from mlray.home import Home
    from mlray.jobs.overview import overview
    from mlray.launch import on_ray

    home = Home.locate()
    found = overview(home, name or on_ray.only(home))
    if as_json:
        show.result(found, as_json)
    else:
        print("\n".join([*lines(found.cluster), *served(found.deployments)]))


def served(deployments: Sequence[Offered]) -> list[str]:
    """A line for each deployment, and below it the room its policy leaves and why."""
    rows = [(d.deployment, d.model, f"{d.ready} of {d.wanted}", f"{d.floor}..{d.ceiling}", d.endpoint) for d in deployments]
    reasons = [f"  {d.deployment}: {d.reason}" for d in deployments if d.reason]
    return ["", *show.columns([("deployment", "model", "ready", "allowed", "endpoint"), *rows]), *reasons] if rows else []


def lines(found: Status) -> list[str]:
    """The cluster, and a line for each node; a price that is not known is `-`."""
    heading = ("node", "type", "capacity", "zone", "state", "address", "price", "since")
    rows = [(n.id, n.type, n.capacity, n.zone, str(n.state), n.ip, str(n.price or "-"), _moment(n.since)) for n in found.nodes]
    facts = [("cluster", found.name), ("state", "up" if found.up else "down"), ("dashboard", found.dashboard)]
    facts += [] if found.seals else [("spill", "in clear: provider: seal_spill: false")]
    return [*show.columns(facts), "", *show.columns([heading, *rows])]


def _moment(since: float) -> str:
    return f"{datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M:%S} UTC"
