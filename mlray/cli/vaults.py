"""What commands about sealed versions share: the vault of this home, and the version a person means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlray.errors import SpecError

if TYPE_CHECKING:
    from mlray.vault.store import Vault, VaultAddress
    from mlray.vault.version import DatasetVersion, ModelVersion

WHICH = "Like flights, flights@3f2a9c or flights@a-tag; the latest where nothing follows."
Version = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help=WHICH)]
OfModels = Annotated[bool, typer.Option("--models", help="Models instead of datasets.")]


def address() -> VaultAddress:
    from mlray.home import Home
    from mlray.vault.store import VaultAddress

    home = Home.locate()
    return VaultAddress(home.store, str(home.keyring))


def vault() -> Vault:
    return address().open()


def find(opened: Vault, version: str, models: bool = False) -> DatasetVersion | ModelVersion:
    """Raises SpecError for what can be no version's name, StoreError when there is none."""
    name, mark, wanted = version.partition("@")
    if not name or (mark and not wanted) or "/" in version:
        raise SpecError(f"{version!r} names no version", hint="write NAME, NAME@DIGEST or NAME@TAG")
    return opened.find_model(name, wanted or "latest") if models else opened.find_dataset(name, wanted or "latest")


def tags_of(opened: Vault, found: DatasetVersion | ModelVersion) -> list[str]:
    """The names that mean this version now, `latest` among them."""
    return sorted(tag for tag, digest in opened.tags(found.name, found.manifest.kind).items() if digest == found.digest)
