"""audit list, verify: the record of what was done to keys and data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlray.cli import show
from mlray.cli.options import Json
from mlray.errors import SpecError

if TYPE_CHECKING:
    from mlray.access.audit import Entry, Head
    from mlray.access.audit_store import AuditStore

commands = typer.Typer(no_args_is_help=True)
Since = Annotated[str | None, typer.Option("--head", metavar="NUMBER:DIGEST", help="A head noted earlier, which must still be in it.")]
To = Annotated[str | None, typer.Option("--to", help="Only what was done to this: a dataset, a version, a master key.")]


@commands.command("list")
def list_(to: To = None, as_json: Json = False) -> None:
    """Every entry, oldest first, after the whole record was checked."""
    record = _record()
    record.verify()
    found = [entry for entry in record.entries() if to in (None, entry.deed.to)]
    show.rows("entries", [_row(entry, as_json) for entry in found], as_json)


@commands.command()
def verify(head: Since = None, as_json: Json = False) -> None:
    """Check that no entry was changed, dropped or slipped in. Note the head somewhere else: it holds all before it in place."""
    found = _record().verify(_known(head))
    show.result({"entries": found.number, "head": str(found), "whole": True}, as_json)


def _row(entry: Entry, whole: bool) -> dict[str, object]:
    deed = entry.deed
    facts: object = dict(deed.facts) if whole else ", ".join(f"{name} {value}" for name, value in deed.facts.items())
    return {"entry": entry.number, "at": entry.at, "who": deed.who, "did": deed.did, "to": deed.to, "facts": facts}


def _known(head: str | None) -> Head:
    from mlray.access.audit import START, Head

    try:
        return Head.parse(head) if head else START
    except ValueError as wrong:
        raise SpecError(f"--head: {head!r}: {wrong}") from wrong


def _record() -> AuditStore:
    from mlray.access.audit_store import AuditStore
    from mlray.home import Home

    return AuditStore(Home.locate().database)
