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
    from mlray.launch import on_ray

    with working() as tell:
        done = on_ray.down(Home.locate(), name, tell)
    show.result(done, as_json)


@commands.command()
def status(name: Name = None, as_json: Json = False) -> None:
    """What runs, where, and at what price."""
    from mlray.home import Home
    from mlray.launch import on_ray

    show.result(on_ray.status(Home.locate(), name), as_json)
