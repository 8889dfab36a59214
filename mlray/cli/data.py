"""data list, show, verify: sealed versions in the vault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlray.cli import show
from mlray.cli.options import Json

if TYPE_CHECKING:
    from mlray.vault.store import Vault
    from mlray.vault.version import DatasetVersion, ModelVersion

commands = typer.Typer(no_args_is_help=True)
Version = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="Like flights or flights@3f2a9c; the latest where none is given.")]
OfModels = Annotated[bool, typer.Option("--models", help="Models instead of datasets.")]


@commands.command("list")
def list_(models: OfModels = False, as_json: Json = False) -> None:
    """Every version, oldest first."""
    vault = _vault()
    versions = vault.models() if models else vault.datasets()
    rows = [
        {"version": str(v), "created": v.manifest.created, "rows": sum(p.rows for p in v.manifest.parts), "parts": len(v.manifest.parts)}
        for v in versions
    ]
    show.rows("models" if models else "datasets", rows, as_json)


@commands.command("show")
def show_(version: Version, models: OfModels = False, as_json: Json = False) -> None:
    """What a version holds and what it was made from."""
    found = _find(_vault(), version, models)
    held = found.manifest
    facts = {
        "version": str(found),
        "digest": found.digest,
        "created": held.created,
        "rows": {split: held.rows(split) for split in held.splits},
        "rejected": dict(held.rejected),
        "bytes": sum(part.bytes for part in held.parts),
        "parts": len(held.parts),
        "schema": dict(held.schema),
        "lineage": dict(held.lineage),
        "about": held.about,
    }
    show.result(facts, as_json)


@commands.command()
def verify(version: Version, models: OfModels = False, as_json: Json = False) -> None:
    """Read every byte of a version again and check it against what was signed."""
    vault = _vault()
    found = _find(vault, version, models)
    vault.verify(found)
    show.result({"version": str(found), "digest": found.digest, "parts": len(found.manifest.parts), "whole": True}, as_json)


def _find(vault: Vault, version: str, models: bool) -> DatasetVersion | ModelVersion:
    name, _, digest = version.partition("@")
    return vault.find_model(name, digest or "latest") if models else vault.find_dataset(name, digest or "latest")


def _vault() -> Vault:
    from mlray.home import Home
    from mlray.vault.store import VaultAddress

    home = Home.locate()
    return VaultAddress(home.store, str(home.keyring)).open()
