"""secret set, list, remove: passwords and tokens of sources, sealed in the store. A value is never an argument, and never printed."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mlray.cli import show
from mlray.cli.consent import Yes, consent
from mlray.cli.options import Json
from mlray.cli.vaults import vault
from mlray.errors import SpecError

if TYPE_CHECKING:
    from mlray.vault.secrets import Secrets

commands = typer.Typer(no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="As YAML says it under `secret:`.")]


@commands.command("set")
def set_(name: Name, as_json: Json = False) -> None:
    """Store a value, read from stdin, or asked for in a terminal. It takes the place of the one before."""
    secrets = _secrets()
    before = name in secrets.list()
    secrets.set(name, _value(name))
    show.result({"secret": name, "replaced": before}, as_json)


@commands.command("list")
def list_(as_json: Json = False) -> None:
    """The names there are, and whether the environment overrides one."""
    from mlray.vault.secrets import variable

    rows = [{"secret": name, "from": "environment" if variable(name) in os.environ else "store"} for name in _secrets().list()]
    show.rows("secrets", rows, as_json)


@commands.command()
def remove(name: Name, yes: Yes = False, as_json: Json = False) -> None:
    """Remove a value from the store."""
    secrets = _secrets()
    if name in secrets.list():
        consent([f"removes secret {name}: jobs that name it will not find it"], yes)
    secrets.remove(name)
    show.result({"secret": name, "removed": True}, as_json)


def _value(name: str) -> str:
    """Everything on stdin but a last line break; an argument would be seen by everyone on the machine."""
    try:
        value = typer.prompt(f"Value of {name}", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.read()
    except UnicodeDecodeError as error:
        raise SpecError(f"the value of {name} is not UTF-8", hint="encode it as text, such as Base64") from error
    value = str(value).removesuffix("\n").removesuffix("\r")
    if not value:
        raise SpecError(f"the value of {name} is empty, so nothing was stored", hint=f"write it to stdin: mlray secret set {name} <file")
    return value


def _secrets() -> Secrets:
    from mlray.vault.secrets import Secrets

    return Secrets(vault())
