"""token create, list, revoke."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlray.access.spec import Role
from mlray.cli import show
from mlray.cli.options import Json, duration
from mlray.errors import SpecError

if TYPE_CHECKING:
    from mlray.access.store import TokenStore

commands = typer.Typer(no_args_is_help=True)


@commands.command()
def create(
    owner: Annotated[str, typer.Argument(help="Who will hold it.")],
    role: Annotated[Role, typer.Option(help="What it allows.")] = Role.VIEWER,
    ttl: Annotated[str, typer.Option(help="How long it lasts, such as 30d.")] = "30d",
    out: Annotated[Path | None, typer.Option(help="Write it to this file, readable by you alone, instead of printing it.")] = None,
    as_json: Json = False,
) -> None:
    """Make a token. It is shown once; only its hash is kept."""
    from mlray.clock import SystemClock

    file = _new_private(out) if out else None
    text, record = _store().issue(role, owner, duration("--ttl", ttl), SystemClock().now())
    if file is not None:
        with os.fdopen(file, "w") as held:
            held.write(text + "\n")
    facts = {"id": record.id, "role": record.role, "owner": record.owner, "expires": record.expires}
    if as_json:
        show.result(facts | ({"file": out} if out else {"token": text}), as_json)
    else:
        print(f"written to {out}" if out else text)


@commands.command("list")
def list_(as_json: Json = False) -> None:
    """Every token: its id, holder, role and end. The tokens themselves are nowhere."""
    rows = [
        {"id": r.id, "owner": r.owner, "role": r.role, "created": r.created, "expires": r.expires, "revoked": r.revoked}
        for r in _store().records().values()
    ]
    show.rows("tokens", rows, as_json)


@commands.command()
def revoke(id: Annotated[str, typer.Argument(help="The id, as `mlray token list` prints it.")], as_json: Json = False) -> None:
    """End a token now."""
    from mlray.clock import SystemClock

    record = _store().revoke(id, SystemClock().now())
    show.result({"id": record.id, "revoked": record.revoked}, as_json)


def _new_private(path: Path) -> int:
    """An open new file of mode 0600. Refuses one that exists: it may be readable by others, or held open by them."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise SpecError(f"{path} exists", hint="name a new file, or remove that one first") from error
    except OSError as error:
        raise SpecError(f"{path} cannot be written: {error.strerror}") from error


def _store() -> TokenStore:
    from mlray.access.store import TokenStore
    from mlray.home import Home

    return TokenStore(Home.locate().prepare().database)
