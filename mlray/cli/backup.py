"""data backup, restore: the whole store somewhere else, and back into an empty home."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mlray.cli import show
from mlray.cli.options import Json
from mlray.cli.progress import working
from mlray.errors import SpecError

commands = typer.Typer()
Phrase = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="File that holds the passphrase of the keyring; - reads stdin, or asks in a terminal."),
]


@commands.command()
def backup(
    destination: Annotated[
        str, typer.Argument(help="A folder, or a URI like s3://bucket/mlray; what is there already is not copied again.")
    ],
    passphrase: Phrase = None,
    as_json: Json = False,
) -> None:
    """Copy the store, sealed as it is, and with a passphrase the keyring that opens it."""
    from mlray.home import Home
    from mlray.jobs.backup import backup as copy

    phrase = _phrase(passphrase, twice=True)
    with working():
        done = copy(Home.locate(), destination, phrase)
    for note in done.notes:
        print(f"note: {note}", file=sys.stderr)
    show.result(done, as_json, hide=("notes",))


@commands.command()
def restore(
    source: Annotated[str, typer.Argument(help="What `mlray data backup` wrote.")],
    passphrase: Phrase = None,
    keyring: Annotated[Path | None, typer.Option("--keyring", help="The keyring file, where the backup holds none.")] = None,
    as_json: Json = False,
) -> None:
    """Bring a backup into this home, which must be empty, and read every version again."""
    from mlray.home import Home
    from mlray.jobs.restore import restore as bring

    phrase = _phrase(passphrase, twice=False)
    with working():
        done = bring(source, Home.locate(), phrase, keyring)
    show.result(done, as_json)


def _phrase(file: Path | None, twice: bool) -> str | None:
    """Never an argument: those are seen by everyone on the machine. The last line break is no part of it."""
    if file is None:
        return None
    try:
        if str(file) != "-":
            read = file.read_text("utf-8")
        elif sys.stdin.isatty():
            read = str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=twice, err=True))
        else:
            read = sys.stdin.read()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{file}: the passphrase cannot be read as text: {getattr(error, 'strerror', None) or 'not UTF-8'}") from error
    phrase = read.removesuffix("\n").removesuffix("\r")
    if not phrase:
        raise SpecError(f"{file}: the passphrase is empty", hint="write one that nobody can guess, and keep it elsewhere")
    return phrase
