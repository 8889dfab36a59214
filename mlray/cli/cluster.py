"""up, down, status: clusters from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlray.cli import show
from mlray.cli.options import Json
from mlray.cli.progress import working

commands = typer.Typer()
Name = Annotated[str | None, typer.Argument(help="The cluster; may be left out where one is up.")]


@commands.command()
def up(file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of cluster/.")], as_json: Json = False) -> None:
    """Start a cluster from its file."""
    from mlray.home import Home
    from mlray.launch import on_ray

    with working() as tell:
        done = on_ray.up(Home.locate().prepare(), file, tell)
    show.result(done, as_json)


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
    """What runs, where, and at what price."""
    from mlray.home import Home
    from mlray.launch import on_ray

    home = Home.locate()
    show.result(on_ray.status(home, name or on_ray.only(home)), as_json)
