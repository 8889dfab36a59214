"""data list, show, verify, tag: sealed versions in the vault."""

from __future__ import annotations

from typing import Annotated

import typer

from mlray.cli import show
from mlray.cli.options import Json
from mlray.cli.vaults import OfModels, Version, find, tags_of, vault

commands = typer.Typer(no_args_is_help=True)


@commands.command("list")
def list_(models: OfModels = False, as_json: Json = False) -> None:
    """Every version, oldest first."""
    from mlray.cli.about import rows as rows_of

    opened = vault()
    versions = opened.models() if models else opened.datasets()
    tags = {name: opened.tags(name, "model" if models else "dataset") for name in {version.name for version in versions}}
    rows = [
        {
            "version": str(found),
            "created": found.manifest.created,
            "rows": rows_of(found.manifest),
            "parts": len(found.manifest.parts),
            "bytes": sum(part.bytes for part in found.manifest.parts),
            "tags": sorted(tag for tag, digest in tags[found.name].items() if digest == found.digest),
        }
        for found in versions
    ]
    show.rows("models" if models else "datasets", rows, as_json)


@commands.command("show")
def show_(version: Version, models: OfModels = False, as_json: Json = False) -> None:
    """What a version holds, what it was made from, and how it is protected."""
    from mlray.cli.about import about
    from mlray.cli.kept import kept

    opened = vault()
    found = find(opened, version, models)
    facts = about(found, tags_of(opened, found), kept(opened, found))
    show.result(facts, as_json, hide=("schema", "statistics", *(name for name, value in facts.items() if value is None or value == ())))


@commands.command()
def verify(version: Version, models: OfModels = False, as_json: Json = False) -> None:
    """Read every byte of a version again and check it against what was signed."""
    opened = vault()
    found = find(opened, version, models)
    opened.verify(found)
    show.result({"version": str(found), "digest": found.digest, "parts": len(found.manifest.parts), "whole": True}, as_json)


@commands.command()
def tag(
    version: Version,
    name: Annotated[str, typer.Argument(metavar="TAG", help="A letter, then letters, digits, `-`, `_` or `.`.")],
    models: OfModels = False,
    as_json: Json = False,
) -> None:
    """Give a version a name of its own, which moves from the version that had it."""
    opened = vault()
    found = find(opened, version, models)
    before = opened.tags(found.name, found.manifest.kind).get(name)
    opened.tag(found, name)
    show.result({"version": str(found), "tag": name, "before": before and f"{found.name}@{before[:12]}"}, as_json)
