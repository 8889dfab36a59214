"""keys list, check, rotate, retire, use, export: the master keys of this home."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from mlray.cli import show
from mlray.cli.consent import Yes, consent
from mlray.cli.options import Json
from mlray.errors import SpecError

if TYPE_CHECKING:
    from mlray.home import Home
    from mlray.jobs.keeping import Kind
    from mlray.vault.keyring import Scope

commands = typer.Typer(no_args_is_help=True)
KINDS = ("local", "aws-kms", "transit")
OneScope = Annotated[str, typer.Option("--scope", help="Whose columns: data (everything else), personal or secret.")]


@commands.command("list")
def list_(as_json: Json = False) -> None:
    """Every master key: its scope, where it lives, and how much it wraps."""
    from mlray.jobs import keeping

    rows = [{"id": m.id, "scope": m.scope, "kind": m.kind, "current": m.current, "wraps": m.wraps} for m in keeping.listing(_home())]
    show.rows("masters", rows, as_json)


@commands.command()
def check(as_json: Json = False) -> None:
    """Open every key once: what is lost, or would be, is told before it hurts. Ends with 1 when something is."""
    from mlray.jobs.checking import check as findings

    found = findings(_home())
    rows = [{"what": one.what, "said": one.said, "hurts": one.hurts} for one in found]
    show.rows("findings", rows, as_json)
    if any(one.hurts for one in found):
        raise typer.Exit(1)


@commands.command()
def rotate(scope: OneScope = "data", as_json: Json = False) -> None:
    """A new master key, and every key of the scope wrapped with it; no data is rewritten."""
    from mlray.jobs import keeping

    show.result(keeping.rotate(_home(), _scope(scope)), as_json)


@commands.command()
def retire(
    master: Annotated[str, typer.Argument(metavar="ID", help="A key that is no longer current and wraps nothing.")],
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Forget an old master key."""
    from mlray.jobs import keeping

    found = next((row for row in keeping.listing(_home()) if row.id == master), None)
    if found and not found.current and not found.wraps:
        consent([f"forgets master key {master} of scope {found.scope}: what only it opens, such as an old backup, is lost for good"], yes)
    gone = keeping.retire(_home(), master)
    show.result({"id": gone.id, "scope": gone.scope, "kind": gone.kind, "retired": True}, as_json)


@commands.command()
def use(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=", ".join(KINDS))],
    key_id: Annotated[str, typer.Option(help="Id, ARN or alias of a KMS key, or the name of a transit key.")] = "",
    scope: OneScope = "data",
    endpoint: Annotated[str, typer.Option(help="Address of Vault or OpenBao, or of a KMS that is not AWS's own.")] = "",
    mount: Annotated[str, typer.Option(help="Where the transit engine is mounted.")] = "transit",
    as_json: Json = False,
) -> None:
    """Make a key of a service the master of a scope, or a local one again, and wrap everything with it."""
    from mlray.jobs import keeping

    if kind not in KINDS:
        raise SpecError(f"{kind!r} is no kind of master key", hint=f"kinds are {', '.join(KINDS)}")
    show.result(keeping.use(_home(), cast("Kind", kind), key_id, _scope(scope), endpoint, mount), as_json)


@commands.command()
def export(
    file: Annotated[Path, typer.Argument(help="A new file, readable by you alone.")],
    scopes: Annotated[list[str] | None, typer.Option("--scope", help="What its holder may read; repeat it. data unless given.")] = None,
    as_json: Json = False,
) -> None:
    """Write a keyring that reads and signs nothing. It holds keys: hand it over like one."""
    from mlray.jobs import keeping

    wanted = tuple(_scope(scope) for scope in scopes or ("data",))
    show.result({"file": file, "scopes": list(wanted), "masters": list(keeping.export(_home(), file, wanted))}, as_json)


def _scope(text: str) -> Scope:
    from mlray.vault.keyring import SCOPES

    if text not in SCOPES:
        raise SpecError(f"--scope {text!r} is no scope", hint=f"scopes are {', '.join(SCOPES)}")
    return text


def _home() -> Home:
    from mlray.home import Home

    return Home.locate()
