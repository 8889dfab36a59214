"""The tree of commands. Each imports what it works with when it is called, so that help is told at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

import mlray
from mlray.cli import (
    advise,
    audit,
    backup,
    cluster,
    compare,
    cost,
    data,
    demo,
    forecast,
    keep,
    keys,
    policy,
    predict,
    prices,
    report,
    schema,
    secret,
    simulate,
    token,
    trace,
    why,
    work,
)

# Plain help: formatting it with rich takes more than twice the time (docs/decisions/0004-plain-terminal-text.md).
app = typer.Typer(name="mlray", rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"mlray {mlray.__version__}")
        raise typer.Exit


@app.callback()
def main(
    home: Annotated[Path | None, typer.Option("--home", help="Where keys, records and sealed bytes are kept.", envvar="MLRAY_HOME")] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)] = False,
) -> None:
    """From raw data to a governed prediction endpoint on Ray: declared in YAML, encrypted, and paid for by the dollar."""
    if home is not None:
        os.environ["MLRAY_HOME"] = str(home.expanduser().absolute())  # what this process starts finds the same home


for module in (demo, cluster, work, predict, why, advise, simulate):
    app.registered_commands += module.commands.registered_commands
app.registered_commands += cost.receipts.registered_commands
cost.commands.registered_commands += forecast.commands.registered_commands
for module in (compare, report, keep, backup):
    data.commands.registered_commands += module.commands.registered_commands
app.add_typer(cost.commands, name="cost")
policy.commands.registered_commands += simulate.commands.registered_commands
app.add_typer(policy.commands, name="policy", help="What may be spent and what is promised.")
app.add_typer(prices.commands, name="prices", help="What clouds ask for an hour of a machine.")
app.add_typer(trace.commands, name="trace", help="Histories of spot markets.")
app.add_typer(data.commands, name="data", help="Sealed dataset versions.")
app.add_typer(keys.commands, name="keys", help="Master keys: who may read.")
app.add_typer(audit.commands, name="audit", help="What was done to keys and data.")
app.add_typer(secret.commands, name="secret", help="Passwords and tokens of sources, sealed.")
app.add_typer(token.commands, name="token", help="Who may call an endpoint.")
app.add_typer(schema.commands, name="schema", help="JSON schemas of the YAML files, for editors.")
